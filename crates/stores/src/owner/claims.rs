//! Owners of bars: pipelines of another namespace, source, rules, session or zone never write among each other's bars.
//!
//! Owns the records: one hash `owner:{spec}:{date}:{template}`, where `{template}` is the key template of the bars with
//! the namespace filled in, and all else in it as it was written; field is the symbol, value the owner in words, and
//! beside it `session:{symbol}` where the hours decide what is in a bar. A record is claimed before the first bar of a
//! spec, date and symbol is written, and again as `claim_tracker` says. It is claimed by a script, or by commands where one
//! process has the store.

use super::claim_tracker::{CALL_LEN, Claim, ClaimTracker};
use crate::batch::final_batch;
use crate::key_store::command::Command;
use crate::key_store::port::{CommandResult, KeyStore, Reply, failed, run_scripts};
use crate::key_store::remedy::item_error;
use crate::layout::key_time::push_date;
use crate::layout::settings::ViewKind;
use crate::layout::template::{Placeholder, push_display};
use crate::layout::view::View;
use barmill_core::model::{BarSpec, Symbol, Timestamp};
use barmill_core::port::{ItemError, OwnedError, Remedy, SinkError};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The code of the answer to a claim on bars that another pipeline owns.
const OWNED: &str = "OWNED ";

/// What stands before the symbol in the field of its session.
const SESSION: &str = "session:";

/// What decides the bars of a pipeline, besides the namespace and the zone of its view.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Where the trades come from, such as the name of a venue.
    pub source: String,
    /// Sources of symbols that have another one than `source`.
    pub sources: SymbolSources,
    /// The tape rules, with what else decides the bars, such as `all filled`.
    pub rules: String,
    /// The hours whose trades count, such as `regular`; `None` where bars of other hours may be added later.
    pub session: Option<String>,
    /// Whether the bars of other owners are taken over.
    pub take_over: bool,
    /// Symbols that are claimed when the sink is opened, before there is a bar of them.
    pub symbols: Vec<Symbol>,
    /// Specs that are claimed with `symbols`.
    pub specs: Vec<BarSpec>,
}

impl Owner {
    /// The owner of bars made from a source by some rules, whatever the hours.
    pub fn new(source: impl Into<String>, rules: impl Into<String>) -> Owner {
        Owner {
            source: source.into(),
            sources: SymbolSources::default(),
            rules: rules.into(),
            session: None,
            take_over: false,
            symbols: Vec::new(),
            specs: Vec::new(),
        }
    }
}

/// The source of each symbol, where a run has several; it may change while the run goes on.
#[derive(Debug, Clone, Default)]
pub struct SymbolSources(Arc<Mutex<HashMap<Symbol, String>>>);

impl SymbolSources {
    /// Adds symbols of a source.
    pub fn add(&self, source: &str, symbols: &[Symbol]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(symbols.iter().map(|&symbol| (symbol, source.to_owned())));
    }

    fn of(&self, symbol: Symbol) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&symbol).cloned()
    }
}

/// The claims of a writer, as a store is asked for them.
#[derive(Debug)]
pub(crate) struct Claims {
    view: Arc<View>,
    owner: Owner,
    pub(crate) tracker: ClaimTracker,
    has_called: AtomicBool,
    /// One batch claims at a time; the next one finds what this one was granted.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Claims {
    /// The claims of a writer through the view; `None` where no bars are kept.
    pub(crate) fn new(view: Arc<View>, owner: Owner) -> Option<Claims> {
        let settings = view.settings();
        if settings.kind == ViewKind::Publish {
            return None;
        }
        let tracker = ClaimTracker::new(settings.zone.clone(), settings.ttl_s);
        Some(Claims {
            view,
            owner,
            tracker,
            has_called: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// What can be claimed before there is a bar.
    pub(crate) fn at_open(&self, now: Timestamp) -> Vec<Claim> {
        self.tracker
            .at_open(&self.owner.specs, &self.owner.symbols, now)
    }

    /// The claims of each call of the script, so that no request grows too large.
    pub(crate) fn calls(claims: &[Claim]) -> Vec<&[Claim]> {
        let (mut calls, mut start, mut len) = (Vec::new(), 0, 0);
        for (index, claim) in claims.iter().enumerate() {
            if start < index && CALL_LEN < len + claim.symbols.len() {
                calls.push(&claims[start..index]);
                (start, len) = (index, 0);
            }
            len += claim.symbols.len();
        }
        calls.extend((start < claims.len()).then(|| &claims[start..]));
        calls
    }

    /// Commands that the claims are billed as inside a script.
    pub(crate) fn commands(&self, claims: &[Claim]) -> usize {
        let look = usize::from(!self.owner.take_over);
        claims.len() * (look + 1 + usize::from(self.ttl_s().is_some()))
    }

    /// Seconds that a record lives: longer than the bars, whose life begins anew with each write.
    fn ttl_s(&self) -> Option<u64> {
        self.view.settings().ttl_s.map(|ttl_s| ttl_s + ttl_s / 2)
    }

    /// The key of a record.
    fn key(&self, claim: &Claim) -> Bytes {
        let settings = self.view.settings();
        let mut key = b"owner:".to_vec();
        push_display(&mut key, claim.spec);
        key.push(b':');
        if settings.key.has(Placeholder::Date) || settings.key.has(Placeholder::Start) {
            push_date(&mut key, claim.date);
            key.push(b':');
        }
        let template = settings.key.to_string();
        key.extend(
            template
                .replace("{namespace}", &settings.namespace)
                .as_bytes(),
        );
        Bytes::from(key)
    }

    /// The owner of a symbol's bars in words.
    fn words(&self, symbol: Symbol) -> String {
        let Owner {
            source,
            sources,
            rules,
            ..
        } = &self.owner;
        let source = sources.of(symbol).unwrap_or_else(|| source.clone());
        let settings = self.view.settings();
        let zone = settings.zone.iana_name().unwrap_or("UTC");
        let namespace = &settings.namespace;
        format!("namespace {namespace}; source {source}; rules {rules}; zone {zone}")
    }

    /// The fields of a record and their values, two for a symbol where the session counts.
    fn fields(&self, claim: &Claim) -> Vec<(Bytes, Bytes)> {
        let mut fields = Vec::with_capacity(claim.symbols.len() * 2);
        for &symbol in &claim.symbols {
            fields.push((text(symbol.as_str()), Bytes::from(self.words(symbol))));
            if let Some(session) = &self.owner.session {
                let field = Bytes::from(format!("{SESSION}{symbol}"));
                fields.push((field, Bytes::from(format!("session {session}"))));
            }
        }
        fields
    }

    /// The arguments of the script's `OWN`, for each claim behind its key.
    pub(crate) fn arguments(&self, claims: &[Claim]) -> Vec<(Bytes, Vec<Bytes>)> {
        let ttl = Bytes::from(self.ttl_s().unwrap_or(0).to_string());
        let take_over = Bytes::from_static(if self.owner.take_over { b"1" } else { b"0" });
        let arguments = |claim: &Claim| {
            let mut arguments = vec![ttl.clone(), take_over.clone()];
            for (field, words) in self.fields(claim) {
                arguments.extend([field, words]);
            }
            (self.key(claim), arguments)
        };
        claims.iter().map(arguments).collect()
    }

    /// Claims bars for this writer.
    ///
    /// # Errors
    /// [`SinkError`] whose source is an [`OwnedError`] where another pipeline owns one of them; then none is claimed of
    /// its spec and date. Any other when the store does not say.
    pub(crate) async fn claim(
        &self,
        store: &dyn KeyStore,
        claims: &[Claim],
        now: Timestamp,
    ) -> Result<(), SinkError> {
        for claims in Claims::calls(claims) {
            self.call(store, claims).await?;
            self.tracker.granted(claims, now);
        }
        Ok(())
    }

    async fn call(&self, store: &dyn KeyStore, claims: &[Claim]) -> Result<(), SinkError> {
        if !store.runs_scripts() {
            return self.claim_each(store, claims).await;
        }
        // The store need not know the script when it is first called.
        let has_text = !self.has_called.swap(true, Ordering::Relaxed);
        let call = final_batch::claim_call(self.arguments(claims), has_text);
        let answer = run_scripts(store, &[call]).await;
        let answer = answer.map(|mut results| results.pop().unwrap_or(Ok(Reply::Nil)));
        match answer {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if is_owned(&error) || !is_refusal(error.remedy) => {
                Err(self.refused(claims, error))
            }
            Err(error) if !is_refusal(error.remedy) => Err(error),
            // A server without scripts, or one that takes none of this size.
            Ok(Err(_)) | Err(_) => self.claim_each(store, claims).await,
        }
    }

    async fn claim_each(&self, store: &dyn KeyStore, claims: &[Claim]) -> Result<(), SinkError> {
        for claim in claims {
            self.claim_plainly(store, claim).await?;
        }
        Ok(())
    }

    /// Claims by commands; safe where no other process can come between two of them.
    async fn claim_plainly(&self, store: &dyn KeyStore, claim: &Claim) -> Result<(), SinkError> {
        let key = self.key(claim);
        let fields = self.fields(claim);
        if !self.owner.take_over {
            let look = Command::HashGet {
                key: key.clone(),
                fields: fields.iter().map(|(field, _)| field.clone()).collect(),
            };
            let found = self.all(claim, store.run(&[look]).await?)?.pop();
            let found = match &found {
                Some(Reply::Array(found)) => found.as_slice(),
                Some(Reply::Nil | Reply::Integer(_) | Reply::Text(_)) | None => &[],
            };
            for (found, (field, words)) in found.iter().zip(&fields) {
                if let Reply::Text(found) = found
                    && found != words
                {
                    let [field, found] = [field, found].map(|text| String::from_utf8_lossy(text));
                    let error = item_error(&format!("{OWNED}{field} {found}"));
                    return Err(self.refused(std::slice::from_ref(claim), error));
                }
            }
        }
        let mut commands = vec![Command::HashSet {
            key: key.clone(),
            fields: fields.into_iter().collect(),
        }];
        commands.extend(self.ttl_s().map(|seconds| Command::Expire { key, seconds }));
        self.all(claim, store.run(&commands).await?).map(drop)
    }

    fn all(&self, claim: &Claim, results: Vec<CommandResult>) -> Result<Vec<Reply>, SinkError> {
        let replies: Result<Vec<Reply>, ItemError> = results.into_iter().collect();
        replies.map_err(|error| self.refused(std::slice::from_ref(claim), error))
    }

    /// The error of a claim that the store did not grant.
    pub(crate) fn refused(&self, claims: &[Claim], error: ItemError) -> SinkError {
        let told = error
            .reason
            .strip_prefix(OWNED)
            .and_then(|told| told.split_once(' '));
        let Some((field, found)) = told else {
            return failed("claim the bars", error.remedy, error);
        };
        let name = field.strip_prefix(SESSION).unwrap_or(field);
        let refused = claims.iter().find_map(|claim| {
            let symbol = claim.symbols.iter().find(|one| one.as_str() == name)?;
            let mut fields = self.fields(claim).into_iter();
            let (_, wanted) = fields.find(|(own, _)| own == field.as_bytes())?;
            (wanted != found.as_bytes()).then_some((claim, *symbol, wanted))
        });
        let Some((claim, symbol, wanted)) = refused else {
            return failed("claim the bars", Remedy::Fatal, error);
        };
        let wanted = String::from_utf8_lossy(&wanted);
        let parts = found.split("; ").zip(wanted.split("; "));
        let (theirs, ours): (Vec<&str>, Vec<&str>) =
            parts.filter(|(their, our)| their != our).unzip();
        let error = OwnedError {
            spec: claim.spec,
            symbol,
            date: claim.date,
            key: String::from_utf8_lossy(&self.key(claim)).into_owned(),
            found: theirs.join(", "),
            wanted: ours.join(", "),
        };
        failed("claim the bars", Remedy::Fatal, error)
    }
}

/// Whether another attempt at the same would be refused, too.
fn is_refusal(remedy: Remedy) -> bool {
    matches!(remedy, Remedy::Refuse | Remedy::Fatal)
}

/// Whether an answer of the script says that another pipeline owns the bars.
pub(crate) fn is_owned(error: &ItemError) -> bool {
    error.reason.starts_with(OWNED)
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{CALL_LEN, Claim, Claims, Owner};
    use crate::testing::update;
    use crate::{View, ViewKind, ViewSettings};
    use barmill_core::model::Symbol;
    use barmill_core::port::WriteItem;
    use jiff::tz::TimeZone;
    use std::sync::Arc;

    const START: &str = "2025-10-15T13:30:00Z";

    fn claims() -> Claims {
        let view = ViewSettings::new(ViewKind::SymbolDay, TimeZone::UTC).unwrap();
        let view = View::new(view, &["1m".parse().unwrap()]).unwrap();
        Claims::new(Arc::new(view), Owner::new("files", "all")).unwrap()
    }

    fn bar(symbol: &str) -> WriteItem {
        WriteItem::Bar(update(symbol, "1m", START))
    }

    #[test]
    fn no_call_has_more_symbols_than_its_bound() {
        let claims = claims();
        let names: Vec<String> = (0..2_500).map(|index| format!("S{index}")).collect();
        let items: Vec<WriteItem> = names.iter().map(|name| bar(name)).collect();
        let due = claims.tracker.due(&items, START.parse().unwrap());
        let symbols = |call: &&[Claim]| call.iter().map(|claim| claim.symbols.len()).sum();
        let calls: Vec<usize> = Claims::calls(&due).iter().map(symbols).collect();
        assert_eq!(calls.iter().sum::<usize>(), 2_500);
        assert!(
            calls.len() == 3 && calls.iter().all(|len| *len <= CALL_LEN),
            "{calls:?}"
        );
        let known: Vec<Symbol> = due.iter().flat_map(|claim| claim.symbols.clone()).collect();
        assert_eq!(known.len(), 2_500);
    }
}
