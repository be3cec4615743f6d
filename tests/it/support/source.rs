//! Paths named in Rust source: what a file imports or mentions from its crate and from others.
//!
//! A reader of tokens, not a compiler: comments, texts and characters are skipped, `use` trees are spread
//! out, `self` and `super` are resolved by the file's place and its inline modules. Macros that build paths
//! are not followed.

/// A path as resolved, with the line (from 1) where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// Whether it stands under `#[cfg(test)]`.
    pub(crate) is_in_tests: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Separator,
    Sign(char),
}

/// An inline module that is open at this point.
struct Open {
    name: String,
    depth: usize,
    is_tests: bool,
}

/// Finds every path of two words or more; those of the crate begin with `crate`.
///
/// `module` is the file's module, without `crate`: `["adapter", "redis", "rest"]`.
pub(crate) fn mentions(module: &[&str], source: &str) -> Vec<Mention> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    let (mut opens, mut depth, mut index) = (Vec::<Open>::new(), 0, 0);
    while index < tokens.len() {
        match &tokens[index].0 {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => {
                depth -= 1;
                opens.pop_if(|open| open.depth > depth);
            }
            Token::Word(word) if word == "mod" => {
                if let [(Token::Word(name), _), (Token::Sign('{'), _)] = &tokens[index + 1..index + 3] {
                    let is_tests = is_after_cfg_test(&tokens[..index]);
                    opens.push(Open { name: name.clone(), depth: depth + 1, is_tests });
                }
            }
            Token::Word(_) if starts_path(&tokens, index) => {
                let here: Vec<&str> =
                    module.iter().copied().chain(opens.iter().map(|open| open.name.as_str())).collect();
                let mut paths = Vec::new();
                let end = read_tree(&tokens, index, &[], &mut paths);
                let is_in_tests = opens.iter().any(|open| open.is_tests);
                for (path, line) in paths {
                    found.push(Mention { path: resolve(path, &here), line, is_in_tests });
                }
                index = end;
                continue;
            }
            Token::Word(_) | Token::Separator | Token::Sign(_) => {}
        }
        index += 1;
    }
    found
}

/// A path starts at a word with `::` behind it and none before it.
fn starts_path(tokens: &[(Token, usize)], index: usize) -> bool {
    let before = index.checked_sub(1).map(|before| &tokens[before].0);
    tokens.get(index + 1).is_some_and(|next| next.0 == Token::Separator) && before != Some(&Token::Separator)
}

/// Whether `#[cfg(test)]` stands right before a `mod`, visibility aside.
fn is_after_cfg_test(before: &[(Token, usize)]) -> bool {
    // The attribute is seven tokens, the longest common visibility four.
    let last = &before[before.len().saturating_sub(11)..];
    let shown = last.iter().map(|(token, _)| match token {
        Token::Word(word) => word.clone(),
        Token::Separator => "::".to_owned(),
        Token::Sign(sign) => sign.to_string(),
    });
    let shown: String = shown.collect();
    ["", "pub", "pub(crate)", "pub(super)"]
        .iter()
        .any(|visibility| shown.ends_with(&format!("#[cfg(test)]{visibility}")))
}

/// Modules that the file declares for tests and that lie in files of their own.
pub(crate) fn test_modules(module: &[&str], source: &str) -> Vec<Vec<String>> {
    let tokens = tokens(source);
    let declared = tokens.windows(3).enumerate().filter_map(|(index, window)| match window {
        [(Token::Word(word), _), (Token::Word(name), _), (Token::Sign(';'), _)]
            if word == "mod" && is_after_cfg_test(&tokens[..index]) =>
        {
            Some(module.iter().map(|word| (*word).to_owned()).chain([name.clone()]).collect())
        }
        _ => None,
    });
    declared.collect()
}

/// Reads a path or a `use` tree from `index`, adds its leaves, and returns the index behind it.
fn read_tree(
    tokens: &[(Token, usize)],
    mut index: usize,
    prefix: &[String],
    leaves: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let mut path = prefix.to_vec();
    let line = tokens[index].1;
    loop {
        match tokens.get(index).map(|(token, _)| token) {
            Some(Token::Word(word)) => path.push(word.clone()),
            Some(Token::Sign('*')) => path.push("*".to_owned()),
            Some(Token::Sign('{')) => {
                index += 1;
                while !matches!(tokens.get(index), None | Some((Token::Sign('}'), _))) {
                    index = match &tokens[index].0 {
                        Token::Word(_) | Token::Sign('{' | '*') => read_tree(tokens, index, &path, leaves),
                        Token::Separator | Token::Sign(_) => index + 1,
                    };
                }
                return index + 1;
            }
            Some(Token::Sign(_) | Token::Separator) | None => break,
        }
        index += 1;
        if tokens.get(index).map(|(token, _)| token) != Some(&Token::Separator) {
            break;
        }
        index += 1;
    }
    let is_renamed = matches!(tokens.get(index), Some((Token::Word(word), _)) if word == "as");
    leaves.push((path, line));
    if is_renamed { index + 2 } else { index }
}

/// Turns `self`, `super` and `crate` at the front into a path from `crate`.
fn resolve(path: Vec<String>, here: &[&str]) -> Vec<String> {
    let ups = path.iter().take_while(|word| *word == "super").count();
    let is_self = path.first().is_some_and(|word| word == "self");
    if ups == 0 && !is_self {
        return path;
    }
    let base = here[..here.len().saturating_sub(ups)].iter().map(|word| (*word).to_owned());
    let rest = path.into_iter().skip(ups.max(usize::from(is_self)));
    std::iter::once("crate".to_owned()).chain(base).chain(rest).collect()
}

fn tokens(source: &str) -> Vec<(Token, usize)> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let word_len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let len = if let Some(len) = skipped_len(rest) {
            len
        } else if word_len > 0 {
            found.push((Token::Word(rest[..word_len].to_owned()), line));
            word_len
        } else if rest.starts_with("::") {
            found.push((Token::Separator, line));
            2
        } else {
            if !first.is_whitespace() {
                found.push((Token::Sign(first), line));
            }
            first.len_utf8()
        };
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    // Lookahead of two tokens needs no end check.
    found.extend([(Token::Sign(' '), line), (Token::Sign(' '), line)]);
    found
}

/// The length of the comment, text or character that stands here, if one does.
fn skipped_len(rest: &str) -> Option<usize> {
    let until =
        |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(until(2, "*/"));
    }
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'));
    if let Some(body) = raw.filter(|body| body.trim_start_matches('#').starts_with('"')) {
        let hashes = body.len() - body.trim_start_matches('#').len();
        return Some(until(rest.len() - body.len() + hashes + 1, &format!("\"{}", "#".repeat(hashes))));
    }
    let quoted = rest.strip_prefix('b').unwrap_or(rest);
    let opening = rest.len() - quoted.len();
    match quoted.chars().next()? {
        '"' => Some(opening + closing(quoted, '"')),
        // A quote that is closed two characters on, or after an escape, is a character; else a lifetime.
        '\'' if quoted[1..].starts_with('\\') || quoted.chars().nth(2) == Some('\'') => {
            Some(opening + closing(quoted, '\''))
        }
        _ => None,
    }
}

/// The length of a quoted text with its quotes, backslashes heeded.
fn closing(quoted: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in quoted.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    quoted.len()
}
