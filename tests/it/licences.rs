//! Every dependency may be used under a permissive licence.

use crate::support::cargo::packages;

/// SPDX names that ask for no more than notices.
const PERMISSIVE: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression leaves a permissive way: one choice of each `OR`, every part of each `AND`.
///
/// `/` is the old way to write `OR`. `AND` binds closer; parentheses group.
fn is_permissive(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let parts = |separator| split_outside_parentheses(&expression, separator);
    let (choices, musts) = (parts(" OR "), parts(" AND "));
    let name = expression.trim();
    if choices.len() > 1 {
        choices.into_iter().any(is_permissive)
    } else if musts.len() > 1 {
        musts.into_iter().all(is_permissive)
    } else if let Some(inner) = name
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        is_permissive(inner)
    } else {
        PERMISSIVE.contains(&name)
    }
}

fn split_outside_parentheses<'a>(expression: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in expression.match_indices(separator) {
        let before = &expression[..at];
        if before.matches('(').count() == before.matches(')').count() {
            parts.push(&expression[start..at]);
            start = at + separator.len();
        }
    }
    parts.push(&expression[start..]);
    parts
}

#[test]
fn every_dependency_has_a_permissive_licence() {
    let packages = packages();
    assert!(
        packages.len() > 50,
        "cargo names {} packages only",
        packages.len()
    );
    let refused: Vec<_> = packages
        .into_iter()
        .filter(|(_, _, licence)| !licence.as_deref().is_some_and(is_permissive))
        .collect();
    assert!(refused.is_empty(), "not permissive: {refused:#?}");
}

#[test]
fn a_choice_needs_one_and_a_sum_needs_all() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true),
        ("MIT OR Apache-2.0 OR LGPL-2.1-or-later", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR GPL-3.0-only) AND (ISC AND Zlib)", true),
        ("GPL-3.0-only", false),
        ("MIT AND LGPL-3.0-only", false),
        ("(MIT OR Apache-2.0) AND AGPL-3.0-only", false),
        ("AGPL-3.0-only OR GPL-2.0-only", false),
        ("MPL-2.0", false),
        ("", false),
    ] {
        assert_eq!(is_permissive(expression), expected, "{expression}");
    }
}
