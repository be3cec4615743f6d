//! The targets: one function of bytes for each way in.

mod config;
mod file;
mod history;
mod live;
mod model;
mod state;
mod store;

/// One target and the inputs it starts from.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name on the command line, of the corpus and of the artifacts.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs written by our own code.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "file_massive_csv",
        run: file::massive_csv,
        seeds: file::massive_csv_seeds,
    },
    Target {
        name: "file_binance_csv",
        run: file::binance_csv,
        seeds: file::binance_csv_seeds,
    },
    Target {
        name: "file_lean",
        run: file::lean,
        seeds: file::lean_seeds,
    },
    Target {
        name: "file_json",
        run: file::json,
        seeds: file::json_seeds,
    },
    Target {
        name: "file_auto",
        run: file::auto,
        seeds: file::auto_seeds,
    },
    Target {
        name: "file_recording",
        run: file::recording,
        seeds: file::recording_seeds,
    },
    Target {
        name: "file_container",
        run: file::container,
        seeds: file::container_seeds,
    },
    Target {
        name: "file_zip",
        run: file::zip,
        seeds: file::zip_seeds,
    },
    Target {
        name: "history_page",
        run: history::page,
        seeds: history::page_seeds,
    },
    Target {
        name: "history_body",
        run: history::body,
        seeds: history::body_seeds,
    },
    Target {
        name: "history_link",
        run: history::link,
        seeds: history::link_seeds,
    },
    Target {
        name: "live_frame",
        run: live::frame,
        seeds: live::frame_seeds,
    },
    Target {
        name: "store_answer",
        run: store::answer,
        seeds: store::answer_seeds,
    },
    Target {
        name: "store_value",
        run: store::value,
        seeds: store::value_seeds,
    },
    Target {
        name: "store_bar",
        run: store::bar,
        seeds: store::bar_seeds,
    },
    Target {
        name: "store_key",
        run: store::key,
        seeds: store::key_seeds,
    },
    Target {
        name: "store_url",
        run: store::url,
        seeds: store::url_seeds,
    },
    Target {
        name: "state_row",
        run: state::row,
        seeds: state::row_seeds,
    },
    Target {
        name: "config_file",
        run: config::file,
        seeds: config::file_seeds,
    },
    Target {
        name: "config_set",
        run: config::set,
        seeds: config::set_seeds,
    },
    Target {
        name: "model_text",
        run: model::text,
        seeds: model::text_seeds,
    },
];

/// The target of that name.
///
/// # Panics
/// When there is none.
pub fn named(name: &str) -> &'static Target {
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("the name of a target")
}

/// The chosen settings in front of a text.
fn seed(knobs: u8, text: &str) -> Vec<u8> {
    [&[knobs], text.as_bytes()].concat()
}

/// An error and its causes as one text, which must be one short line for a terminal.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    assert!(
        !text.chars().any(char::is_control),
        "a control character in {text:?}"
    );
    assert!(text.len() < 2_000, "an error of {} bytes", text.len());
    text
}
