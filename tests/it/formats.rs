//! What is said of the file formats follows from what each says about itself.

use crate::support::program::Program;
use barmill_sources::file::Format;
use std::fmt::Write;
use std::path::Path;

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the page")
}

fn page() -> String {
    let mut page = "# File formats

`barmill replay FILE... --format NAME` reads these; `auto`, the default, tells the format from the first bytes of each
file, and of each entry of a zip. Files may be plain, gzip, zstd or zip, and `-` is standard input.
"
    .to_owned();
    for format in Format::all() {
        write!(page, "\n## {}\n\n{}.", format.name(), format.summary()).unwrap();
        if format.is_us_equity() {
            page.push_str(" Dates and sessions are New York's unless set otherwise.");
        }
        if format.needs_symbol() {
            page.push_str(
                " Rows do not name their symbol: the name of the file does, or one `--symbol`.",
            );
        }
        page.push('\n');
        if !format.columns().is_empty() {
            page.push_str("\n| column | holds |\n|---|---|\n");
        }
        for column in format.columns() {
            writeln!(page, "| `{}` | {} |", column.name, column.about).unwrap();
        }
    }
    page
}

#[test]
fn page_of_formats_is_what_they_say_about_themselves() {
    assert_eq!(text("docs/formats.md"), page());
}

#[test]
fn config_lists_every_format() {
    let config = text("config.toml");
    let (_, rest) = config
        .split_once("# Format of the files: ")
        .expect("the key");
    let (list, _) = rest.split_once("format = ").expect("the key");
    for format in Format::all() {
        assert!(list.contains(&format!("\"{format}\"")), "{format}");
    }
}

#[test]
fn refused_format_names_those_there_are() {
    let ended = Program::new().run(&["replay", "day.csv", "--format", "csv"]);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    for format in Format::all() {
        assert!(ended.err.contains(format.name()), "{format}: {}", ended.err);
    }
}
