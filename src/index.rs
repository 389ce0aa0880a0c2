//! The index of a provider: which objects it has, and what an operator should know of other providers.
//!
//! Durable Objects cannot be listed, so each announces itself through its outbox when it first stores
//! something. In scope: names, times, reports. Out of scope: what the objects hold; nothing here is on
//! the way of a request.

use serde::{Deserialize, Serialize};

use crate::{
    error::{InternalError, ProtocolError, Result},
    object::{Lane, LaneRequest, News, Reply, Role, Step, plain_refusal},
    storage::{Key, Row, decode_row},
    transport::{Endpoint, IncomingRequest, Outcome, Response, Source},
    wire::uri::Domain,
};

/// The tables of the index.
mod table {
    /// Class, name → since when.
    pub(super) const OBJECTS: u8 = 1;
    /// Number → report.
    pub(super) const REPORTS: u8 = 2;
    /// The number of the last report.
    pub(super) const REPORTS_END: u8 = 3;
    /// Domain → since when.
    pub(super) const PEERS: u8 = 4;
}

/// How many reports are kept.
const MOST_REPORTS: u64 = 1000;
/// The most objects of one page.
const MOST_PER_PAGE: usize = 1000;

/// The index of the provider of one domain.
#[derive(Debug, Default)]
pub struct Index;

#[derive(Debug, Serialize, Deserialize)]
struct Report {
    /// Milliseconds since 1970.
    at: u64,
    peer: Domain,
    what: String,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    since: u64,
}

impl Listed {
    /// What a row says whose key ends with a name, behind so many bytes.
    fn of(before: usize, (key, since): Row) -> Result<Self, InternalError> {
        let name = key.get(before + 2..).and_then(|name| str::from_utf8(name).ok());
        let name = name.ok_or(InternalError::Storage("a key of the index"))?;
        Ok(Self { name: name.to_owned(), since: decode_row(&since)? })
    }
}

#[derive(Debug, Serialize)]
struct Page {
    objects: Vec<Listed>,
    more: bool,
}

impl Role for Index {
    const SENDS: &str = "nothing";

    fn handle(&mut self, step: &mut Step<'_>, request: IncomingRequest) -> Result<Reply> {
        if request.source != Source::Own {
            return Err(ProtocolError::PeerRefused("not for others").into());
        }
        let response = match request.endpoint {
            Endpoint::Announce => {
                for entry in decode_row::<Vec<Vec<u8>>>(&request.body)? {
                    take_in(step, decode_row(&entry)?)?;
                }
                Response::empty(200)
            }
            Endpoint::List { class, after } => {
                let prefix = Key::table(table::OBJECTS).text(class.name());
                let from = [prefix.clone().text(&after).build(), vec![0]].concat();
                let from = if after.is_empty() { Vec::new() } else { from };
                let prefix = prefix.build();
                let rows = step.transaction.scan(&prefix, &from, MOST_PER_PAGE + 1)?;
                let more = rows.len() > MOST_PER_PAGE;
                let rows = rows.into_iter().take(MOST_PER_PAGE);
                let objects = rows.map(|row| Listed::of(prefix.len(), row));
                Response::json(&Page { objects: objects.collect::<Result<_, _>>()?, more })?
            }
            Endpoint::Peers => {
                let prefix = [table::PEERS];
                let rows = step.transaction.scan(&prefix, &prefix, usize::MAX)?.into_iter();
                let peers = rows.map(|row| Listed::of(prefix.len(), row));
                Response::json(&peers.collect::<Result<Vec<_>, _>>()?)?
            }
            Endpoint::Reports => {
                let prefix = [table::REPORTS];
                let rows = step.transaction.scan(&prefix, &prefix, usize::MAX)?.into_iter();
                let reports = rows.map(|(_, row)| decode_row(&row));
                Response::json(&reports.collect::<Result<Vec<Report>, _>>()?)?
            }
            _ => return Err(ProtocolError::NotFound("not an endpoint of the index").into()),
        };
        Ok(Reply::Respond(response))
    }

    fn resume(&mut self, _: &mut Step<'_>, _: &[u8], _: Outcome) -> Result<Reply> {
        Err(InternalError::Storage("the index asks nobody").into())
    }

    fn lane_request(
        &mut self,
        _: &mut Step<'_>,
        _: &Lane,
        _: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>> {
        Ok(None)
    }

    fn refuse(_: &Endpoint, error: &ProtocolError) -> Response {
        plain_refusal(error)
    }

    fn forget(&mut self) {}
}

fn take_in(step: &mut Step<'_>, news: News) -> Result<()> {
    match news {
        News::Object(object) => {
            note(step, Key::table(table::OBJECTS).text(object.class.name()).text(&object.name))?;
        }
        News::Peer(peer) => note(step, Key::table(table::PEERS).text(peer.as_str()))?,
        News::Report { peer, what } => {
            let last: u64 = step.transaction.load(&[table::REPORTS_END])?.unwrap_or(0);
            let number = last.saturating_add(1);
            step.transaction.store(vec![table::REPORTS_END], &number)?;
            let report = Report { at: step.now.0, peer, what };
            step.transaction.store(Key::table(table::REPORTS).number(number).build(), &report)?;
            if let Some(old) = number.checked_sub(MOST_REPORTS) {
                step.transaction.delete(Key::table(table::REPORTS).number(old).build());
            }
        }
    }
    Ok(())
}

/// What this key names is there since now, unless it was there before.
fn note(step: &mut Step<'_>, key: Key) -> Result<()> {
    let key = key.build();
    if step.transaction.read(&key)?.is_none() {
        step.transaction.store(key, &step.now.0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::{
        config::{
            ConsentDefault, Limits, Peers, ProviderConfig, Registration, Retention, UnknownUsers,
        },
        object::Object,
        storage::{MemoryStorage, encode_row},
        time::UnixMillis,
        transport::{Action, ObjectClass, ObjectName},
    };

    fn index() -> Object<Index> {
        let config = ProviderConfig {
            domain: Domain::parse("alpha.example").expect("a domain"),
            hub_keys: Vec::new(),
            consent_default: ConsentDefault::Ask,
            unknown_users: UnknownUsers::Hidden,
            registration: Registration::Closed,
            retention: Retention::default(),
            limits: Limits::default(),
            peers: Peers::default(),
        };
        Object::new(Index, Box::new(MemoryStorage::default()), Rc::new(config))
    }

    fn ask(index: &mut Object<Index>, endpoint: Endpoint, body: Vec<u8>, at: u64) -> String {
        let request = IncomingRequest { source: Source::Own, endpoint, body };
        let Action::Respond(response) = index.handle(request, UnixMillis(at)) else {
            panic!("no answer")
        };
        assert_eq!(response.status, 200);
        String::from_utf8(response.body).expect("text")
    }

    fn announce(index: &mut Object<Index>, news: &[News], at: u64) {
        let entries: Vec<_> = news.iter().map(|news| encode_row(news).expect("a row")).collect();
        ask(index, Endpoint::Announce, encode_row(&entries).expect("a row"), at);
    }

    fn room(number: usize) -> News {
        let name = format!("room{number:05}@alpha.example");
        News::Object(ObjectName { class: ObjectClass::HubRoom, name })
    }

    #[test]
    fn objects_are_listed_by_class_and_page_with_the_time_they_were_heard_of_first() {
        let mut index = index();
        announce(&mut index, &[room(1)], 7);
        announce(&mut index, &(0..1200).map(room).collect::<Vec<_>>(), 9);
        let list =
            |after: &str| Endpoint::List { class: ObjectClass::HubRoom, after: after.into() };
        let first = ask(&mut index, list(""), Vec::new(), 9);
        assert!(first.starts_with(
            r#"{"objects":[{"name":"room00000@alpha.example","since":9},{"name":"room00001@alpha.example","since":7}"#
        ));
        assert!(first.ends_with(r#"{"name":"room00999@alpha.example","since":9}],"more":true}"#));
        let rest = ask(&mut index, list("room00999@alpha.example"), Vec::new(), 9);
        assert!(rest.starts_with(r#"{"objects":[{"name":"room01000@alpha.example","since":9}"#));
        assert!(rest.ends_with(r#""more":false}"#));
        let users = Endpoint::List { class: ObjectClass::User, after: String::new() };
        assert_eq!(ask(&mut index, users, Vec::new(), 9), r#"{"objects":[],"more":false}"#);
    }

    #[test]
    fn d22_the_last_thousand_reports_are_kept_in_order() {
        let mut index = index();
        let peer = Domain::parse("bravo.example").expect("a domain");
        let report = |number: usize| News::Report { peer: peer.clone(), what: number.to_string() };
        announce(&mut index, &(0..1005).map(report).collect::<Vec<_>>(), 3);
        let reports = ask(&mut index, Endpoint::Reports, Vec::new(), 4);
        assert!(reports.starts_with(r#"[{"at":3,"peer":"bravo.example","what":"5"}"#), "{reports}");
        assert!(reports.ends_with(r#""what":"1004"}]"#));
    }

    #[test]
    fn others_are_told_nothing() {
        let mut index = index();
        let domain = Domain::parse("bravo.example").expect("a domain");
        let source = Source::Provider(domain);
        let request = IncomingRequest { source, endpoint: Endpoint::Reports, body: Vec::new() };
        let Action::Respond(response) = index.handle(request, UnixMillis(1)) else {
            panic!("no answer")
        };
        assert_eq!(response.status, 403);
    }
}
