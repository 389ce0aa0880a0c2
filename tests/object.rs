//! The shell around an object, with a role that sends what it is asked to send.
#![cfg(not(target_arch = "wasm32"))]

use std::rc::Rc;

use mimi_edge::{
    config::{ConsentDefault, ProviderConfig, Registration, UnknownUsers},
    error::{InternalError, ProtocolError, Result},
    object::{Call, Lane, LaneRequest, Object, Reply, Role, Step, plain_refusal},
    storage::MemoryStorage,
    time::UnixMillis,
    transport::{
        Endpoint, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Outcome, Outgoing,
        Response, Source,
    },
    wire::uri::Domain,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// Puts each word of a body into the lane of that name; cannot send to `broken`.
struct Sender;

fn lane(name: &str) -> Lane {
    Lane::Object(ObjectName { class: ObjectClass::User, name: name.into() })
}

fn request() -> IncomingRequest {
    IncomingRequest { source: Source::Own, endpoint: Endpoint::Exists, body: Vec::new() }
}

impl Role for Sender {
    fn handle(&mut self, step: &mut Step<'_>, request: IncomingRequest) -> Result<Reply> {
        for name in String::from_utf8(request.body).unwrap().split(' ') {
            step.enqueue(&lane(name), name.as_bytes().to_vec())?;
        }
        Ok(Reply::Respond(Response::empty(200)))
    }

    fn resume(&mut self, _: &mut Step<'_>, _: &[u8], _: Outcome) -> Result<Reply> {
        Err(ProtocolError::NotFound("asks nobody").into())
    }

    fn lane_request(
        &mut self,
        _: &mut Step<'_>,
        lane: &Lane,
        _: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>> {
        let Lane::Object(object) = lane.clone() else { return Ok(None) };
        if object.name == "broken" {
            return Err(InternalError::Storage("broken").into());
        }
        let call = Call::Object(ObjectCall { object, request: request() });
        Ok(Some(LaneRequest { call, label: String::new(), entries: 1 }))
    }

    fn refuse(_: &Endpoint, error: &ProtocolError) -> Response {
        plain_refusal(error)
    }

    fn forget(&mut self) {}
}

fn sender(words: &str) -> Object<Sender> {
    let config = ProviderConfig {
        domain: Domain::parse("alpha.example").unwrap(),
        hub_keys: Vec::new(),
        consent_default: ConsentDefault::Allow,
        unknown_users: UnknownUsers::Hidden,
        registration: Registration::Closed,
    };
    let mut object = Object::new(Sender, Box::new(MemoryStorage::default()), Rc::new(config));
    object.handle(IncomingRequest { body: words.into(), ..request() }, NOW);
    object
}

/// Sends what is due, to each name in turn; everybody answers `status`.
fn sent(object: &mut Object<Sender>, now: UnixMillis, status: u16) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(request) = object.poll_request(now).unwrap() {
        let Outgoing::Object(call) = request.outgoing else { panic!() };
        names.push(call.object.name);
        object.handle_response(request.id, Some(Response::empty(status)), now).unwrap();
    }
    names
}

#[test]
fn r84_a_lane_that_cannot_be_sent_does_not_stop_the_others() {
    let mut object = sender("broken sound");
    assert_eq!(sent(&mut object, NOW, 200), ["sound"]);
    // It is tried again, later and later.
    assert_eq!(object.next_wake().unwrap(), Some(NOW.plus(500)));
    assert!(sent(&mut object, NOW.plus(500), 200).is_empty());
    assert_eq!(object.next_wake().unwrap(), Some(NOW.plus(1500)));
}

#[test]
fn r82_five_codes_are_final_and_all_other_refusals_are_not() {
    for status in [400, 404, 413, 415, 422] {
        let mut object = sender("bob");
        assert_eq!(sent(&mut object, NOW, status), ["bob"]);
        assert_eq!(object.next_wake().unwrap(), None, "{status}");
    }
    for status in [302, 401, 403, 405, 408, 409, 421, 425, 429, 500, 503] {
        let mut object = sender("bob");
        assert_eq!(sent(&mut object, NOW, status), ["bob"]);
        let again = object.next_wake().unwrap().unwrap();
        assert_eq!(sent(&mut object, again, 200), ["bob"], "{status}");
        assert_eq!(object.next_wake().unwrap(), None);
    }
}

#[test]
fn r82_a_request_without_an_answer_is_looked_after_when_the_object_stops() {
    let mut object = sender("bob");
    assert!(object.poll_request(NOW).unwrap().is_some());
    assert!(object.next_wake().unwrap().unwrap() > NOW.plus(30_000), "D18: it may take 30 s");
}
