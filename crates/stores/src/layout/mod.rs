//! How bars lie in a store: views, keys, fields, values and versions.

mod check;
pub(crate) mod instant;
pub(crate) mod key_time;
pub(crate) mod settings;
pub(crate) mod stored;
pub(crate) mod template;
pub(crate) mod value;
pub(crate) mod version;
pub(crate) mod view;

pub use settings::{
    NAMESPACE_DEFAULT, STREAM_LEN_MAX_DEFAULT, TTL_S_DEFAULT, TTL_S_MAX, ValueForm, ViewError,
    ViewKind, ViewSettings,
};
pub use stored::{BarDetail, StoredBar, StoredManifest, ValueError};
pub use template::{Placeholder, Template, TemplateError};
pub use view::View;
