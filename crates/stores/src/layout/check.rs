//! What can be wrong with a view: the checks that keep two bars from sharing one place.

use super::settings::{NAMESPACE_LEN_MAX, TTL_S_MAX, ViewError, ViewKind, ViewSettings};
use super::template::{Placeholder, Template};
use super::view::View;
use barmill_core::model::BarSpec;

/// Checks a view for one spec or several.
pub(super) fn check(view: &View, has_specs: bool) -> Result<(), ViewError> {
    let settings = view.settings();
    check_plain(settings)?;
    check_placeholders(settings)?;
    check_followed(view, has_specs)?;
    if has_specs && settings.kind != ViewKind::Publish && !holds(settings, Placeholder::Spec) {
        return Err(missing(settings, "key or field", Placeholder::Spec));
    }
    Ok(())
}

/// Checks the stream and the channel, whether they are the view itself or beside it.
fn check_followed(view: &View, has_specs: bool) -> Result<(), ViewError> {
    let settings = view.settings();
    for (kind, also) in [
        (ViewKind::Stream, &settings.also_stream),
        (ViewKind::Publish, &settings.also_publish),
    ] {
        if settings.kind == kind && also.is_some() {
            return Err(ViewError::Twice { kind });
        }
    }
    if let Some(stream) = view.stream() {
        check_scattered(
            ViewKind::Stream,
            stream,
            &[Placeholder::Time, Placeholder::Start],
        )?;
        for placeholder in [Placeholder::Symbol, Placeholder::Spec] {
            if !stream.has(placeholder) && (placeholder == Placeholder::Symbol || has_specs) {
                let (kind, template) = (ViewKind::Stream, stream.to_string());
                return Err(ViewError::Missing {
                    part: "key",
                    kind,
                    template,
                    placeholder: placeholder.as_str(),
                });
            }
        }
    }
    let perishable = [
        Placeholder::Symbol,
        Placeholder::Date,
        Placeholder::Time,
        Placeholder::Start,
    ];
    view.channel().map_or(Ok(()), |channel| {
        check_scattered(ViewKind::Publish, channel, &perishable)
    })
}

fn check_plain(settings: &ViewSettings) -> Result<(), ViewError> {
    let namespace = &settings.namespace;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !(1..=NAMESPACE_LEN_MAX).contains(&namespace.len()) || !namespace.bytes().all(allowed) {
        return Err(ViewError::Namespace {
            namespace: namespace.clone(),
        });
    }
    if namespace.parse::<BarSpec>().is_ok() {
        return Err(ViewError::NamespaceIsSpec {
            namespace: namespace.clone(),
        });
    }
    if let Some(seconds) = settings.ttl_s
        && !(1..=TTL_S_MAX).contains(&seconds)
    {
        return Err(ViewError::Ttl { seconds });
    }
    let wanted = matches!(settings.kind, ViewKind::SymbolDay | ViewKind::Minute);
    if wanted != settings.field.is_some() {
        return Err(ViewError::Field {
            kind: settings.kind,
            wanted,
        });
    }
    Ok(())
}

fn check_placeholders(settings: &ViewSettings) -> Result<(), ViewError> {
    let kind = settings.kind;
    let misplaced = |placeholder: Placeholder| ViewError::Misplaced {
        kind,
        template: settings.key.to_string(),
        placeholder: placeholder.as_str(),
    };
    let (in_key, in_field): (&[Placeholder], &[Placeholder]) = match kind {
        ViewKind::SymbolDay => (
            &[Placeholder::Symbol, Placeholder::Date],
            &[Placeholder::Time],
        ),
        ViewKind::Minute => (
            &[Placeholder::Date, Placeholder::Time],
            &[Placeholder::Symbol],
        ),
        ViewKind::KeyPerBar => (
            &[Placeholder::Symbol, Placeholder::Date, Placeholder::Time],
            &[],
        ),
        // Checked where a stream or channel beside another view is checked too.
        ViewKind::Stream | ViewKind::Publish => (&[], &[]),
    };
    for placeholder in in_field {
        if says(&settings.key, *placeholder) {
            return Err(misplaced(*placeholder));
        }
        if !settings
            .field
            .as_ref()
            .is_some_and(|field| says(field, *placeholder))
        {
            return Err(missing(settings, "field", *placeholder));
        }
    }
    match in_key
        .iter()
        .find(|placeholder| !says(&settings.key, **placeholder))
    {
        Some(placeholder) => Err(missing(settings, "key", *placeholder)),
        None => Ok(()),
    }
}

fn check_scattered(
    kind: ViewKind,
    template: &Template,
    placeholders: &[Placeholder],
) -> Result<(), ViewError> {
    match placeholders
        .iter()
        .find(|placeholder| template.has(**placeholder))
    {
        Some(placeholder) => Err(ViewError::Scattered {
            kind,
            template: template.to_string(),
            placeholder: placeholder.as_str(),
        }),
        None => Ok(()),
    }
}

/// Whether the template tells the place; `{start}` tells both date and time.
fn says(template: &Template, placeholder: Placeholder) -> bool {
    let by_start = match placeholder {
        Placeholder::Date | Placeholder::Time => template.has(Placeholder::Start),
        Placeholder::Namespace | Placeholder::Spec | Placeholder::Symbol | Placeholder::Start => {
            false
        }
    };
    by_start || template.has(placeholder)
}

fn holds(settings: &ViewSettings, placeholder: Placeholder) -> bool {
    says(&settings.key, placeholder)
        || settings
            .field
            .as_ref()
            .is_some_and(|field| says(field, placeholder))
}

fn missing(settings: &ViewSettings, part: &'static str, placeholder: Placeholder) -> ViewError {
    let field = settings
        .field
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let template = match part {
        "key" => settings.key.to_string(),
        "field" => field,
        _ => format!("{} {field}", settings.key).trim_end().to_owned(),
    };
    ViewError::Missing {
        part,
        kind: settings.kind,
        template,
        placeholder: placeholder.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::{View, ViewError, ViewKind, ViewSettings};
    use crate::layout::settings::NAMESPACE_DEFAULT;
    use barmill_core::model::{BarKey, Timestamp};
    use jiff::tz::TimeZone;

    fn settings(kind: ViewKind, key: &str, field: Option<&str>) -> ViewSettings {
        let mut settings = ViewSettings::new(kind, TimeZone::UTC).unwrap();
        settings.key = key.parse().unwrap();
        settings.field = field.map(|text| text.parse().unwrap());
        settings
    }

    fn error(kind: ViewKind, key: &str, field: Option<&str>) -> String {
        let specs = ["1m".parse().unwrap(), "5m".parse().unwrap()];
        View::new(settings(kind, key, field), &specs)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_template_that_lets_bars_overwrite_each_other_is_refused_by_name() {
        for (kind, key, field, part) in [
            (
                ViewKind::SymbolDay,
                "b:{spec}:{symbol}",
                Some("{time}"),
                "needs {date}",
            ),
            (
                ViewKind::SymbolDay,
                "b:{spec}:{symbol}:{date}",
                Some("x"),
                "needs {time}",
            ),
            (
                ViewKind::SymbolDay,
                "b:{symbol}:{date}",
                Some("{time}"),
                "needs {spec}",
            ),
            (
                ViewKind::SymbolDay,
                "b:{spec}:{symbol}:{date}:{time}",
                Some("{time}"),
                "must not have {time}",
            ),
            (
                ViewKind::SymbolDay,
                "b:{spec}:{symbol}:{date}",
                None,
                "needs a field template",
            ),
            (
                ViewKind::Minute,
                "b:{spec}:{time}",
                Some("{symbol}"),
                "needs {date}",
            ),
            (
                ViewKind::Minute,
                "b:{spec}:{date}:{time}",
                Some("{spec}"),
                "needs {symbol}",
            ),
            (
                ViewKind::KeyPerBar,
                "b:{spec}:{symbol}:{date}",
                None,
                "needs {time}",
            ),
            (ViewKind::Stream, "b:{spec}", None, "needs {symbol}"),
            (ViewKind::Stream, "b:{symbol}", None, "needs {spec}"),
            (
                ViewKind::Stream,
                "b:{spec}:{symbol}:{time}",
                None,
                "must not have {time}",
            ),
            (
                ViewKind::Publish,
                "b:{symbol}",
                None,
                "must not have {symbol}",
            ),
            (
                ViewKind::Publish,
                "b",
                Some("{time}"),
                "has no field template",
            ),
        ] {
            let error = error(kind, key, field);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn start_stands_for_date_and_time_and_one_spec_needs_no_place() {
        let made = settings(ViewKind::KeyPerBar, "b:{symbol}:{start}", None);
        assert!(View::new(made, &["1m".parse().unwrap()]).is_ok());
    }

    #[test]
    fn namespace_and_ttl_are_checked() {
        let mut made = settings(ViewKind::KeyPerBar, "b:{symbol}:{start}", None);
        made.ttl_s = Some(0);
        assert_eq!(
            View::new(made.clone(), &[]),
            Err(ViewError::Ttl { seconds: 0 })
        );
        made.ttl_s = None;
        made.namespace = "a:b".to_owned();
        assert!(matches!(
            View::new(made, &[]),
            Err(ViewError::Namespace { .. })
        ));
        let made = ViewSettings::in_namespace(ViewKind::Stream, "5m", TimeZone::UTC).unwrap();
        assert!(matches!(
            View::new(made, &[]),
            Err(ViewError::NamespaceIsSpec { .. })
        ));
    }

    #[test]
    fn bars_of_two_namespaces_never_share_a_key() {
        let bar = BarKey {
            symbol: "AAPL".parse().unwrap(),
            spec: "1m".parse().unwrap(),
            start: Timestamp::from_nanos(0).unwrap(),
        };
        for kind in ViewKind::ALL {
            let keys = [NAMESPACE_DEFAULT, "a", "b"].map(|namespace| {
                let made = ViewSettings::in_namespace(kind, namespace, TimeZone::UTC).unwrap();
                View::new(made, &[]).unwrap().cell(&bar).0
            });
            assert!(keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
        }
    }
}
