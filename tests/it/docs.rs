//! The written pages name only files that are there.

use std::path::{Path, PathBuf};

/// The pages, from the root.
#[expect(clippy::expect_used, reason = "a helper of tests")]
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    let mut pages: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    for entry in std::fs::read_dir(root.join("docs")).expect("the docs") {
        pages.push(entry.expect("a page").path());
    }
    pages
}

/// What stands between two marks, as often as it occurs.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    let parts = text.split(open).skip(1);
    parts.filter_map(move |part| part.split_once(close).map(|(inner, _)| inner))
}

#[test]
fn every_link_of_the_pages_leads_to_a_file() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        let folder = page.parent().expect("a folder");
        for link in between(&text, "](", ')') {
            let file = link.split('#').next().unwrap_or_default();
            let is_outside = link.contains("://") || file.is_empty();
            if !is_outside && !folder.join(file).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn every_path_that_the_pages_name_is_there() {
    const FOLDERS: [&str; 7] = [
        "src/",
        "crates/",
        "tests/",
        "docs/",
        "fuzz/",
        "benches/",
        "examples/",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dead = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for line in text.lines() {
            for quoted in line.split('`').skip(1).step_by(2) {
                let is_path = FOLDERS.iter().any(|folder| quoted.starts_with(folder));
                let is_pattern = quoted.contains(['*', ' ', '{']) || quoted.contains("NAME");
                if is_path && !is_pattern && !root.join(quoted).exists() {
                    dead.push(format!("{}: {quoted}", page.display()));
                }
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}
