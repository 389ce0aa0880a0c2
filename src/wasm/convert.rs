//! The client's events and states as plain JavaScript objects; the sources in js/client have their
//! types: host/engine.ts, host/port.ts, room-state.ts, message.ts, consent.ts, account.ts.

use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::{
    client::{
        Consent, Delivery, Device, ErrorCode, Event, HistoryEntry, Message, OwnMessage,
        Participant, PendingIntent, Profile, Pseudonym, Reading, RoomPhase, RoomState, Stock,
        Trust, Undecryptable,
    },
    js::{bytes, number, object},
    wire::uri::{ClientUri, RoomUri, UserUri},
};

pub(super) fn event(event: Event) -> JsValue {
    match event {
        Event::Registered => object([kind("registered")]),
        Event::RegistrationFailed { code } => object([kind("registrationFailed"), code_of(code)]),
        Event::Revoked => object([kind("revoked")]),
        Event::DevicesChanged { added, removed } => object([
            kind("devicesChanged"),
            ("added", texts(added.iter().map(ClientUri::as_str))),
            ("removed", texts(removed.iter().map(ClientUri::as_str))),
        ]),
        Event::PseudonymIssued { user } => {
            object([kind("pseudonymIssued"), ("user", user.as_str().into())])
        }
        Event::PseudonymRefused { code } => object([kind("pseudonymRefused"), code_of(code)]),
        Event::UserDevicesChanged { user, added, removed } => object([
            kind("userDevicesChanged"),
            ("user", user.as_str().into()),
            ("added", texts(added.iter().map(ClientUri::as_str))),
            ("removed", texts(removed.iter().map(ClientUri::as_str))),
        ]),
        Event::TrustChanged { user, trust } => trusted(&user, trust),
        Event::KeyPackages(held) => stock(held),
        Event::KeyPackagesMade { id, made } => {
            object([kind("keyPackagesMade"), ("id", number(id)), ("made", made.into())])
        }
        Event::RoomAdded { room } => object([kind("roomAdded"), in_room(&room)]),
        Event::RoomsAvailable { rooms } => {
            object([kind("roomsAvailable"), ("rooms", texts(rooms.iter().map(RoomUri::as_str)))])
        }
        Event::Rejoined { room } => object([kind("rejoined"), in_room(&room)]),
        Event::RoomChanged { room, epoch } => {
            object([kind("roomChanged"), in_room(&room), ("epoch", number(epoch))])
        }
        Event::RoomLeft { room } => object([kind("roomLeft"), in_room(&room)]),
        Event::Message(message) => logged("message", &message),
        Event::Undecryptable(message) => undecryptable(&message),
        Event::Delivery(message) => own_message(&message),
        Event::Echoed(message) => logged("echoed", &message),
        Event::Read { room } => object([kind("read"), in_room(&room)]),
        Event::IntentDone { room, id } => {
            object([kind("intentDone"), in_room(&room), ("id", number(id))])
        }
        Event::IntentFailed { room, id, what, user, code, retryable } => object([
            kind("intentFailed"),
            in_room(&room),
            ("id", number(id)),
            ("what", what.as_str().into()),
            about(user.as_ref()),
            code_of(code),
            ("retryable", retryable.into()),
        ]),
        Event::WelcomeFailed { room } => object([kind("welcomeFailed"), in_room(&room)]),
        Event::Gap { room } => object([kind("gap"), in_room(&room)]),
        Event::Diverged { room } => object([kind("diverged"), in_room(&room)]),
        Event::WaitingForConsent { room, id } => {
            object([kind("waitingForConsent"), in_room(&room), ("id", number(id))])
        }
        Event::ConsentChanged => object([kind("consentChanged")]),
        Event::ConsentRequested { from, room, at } => object([
            kind("consentRequested"),
            ("user", from.as_str().into()),
            scope(room.as_ref()),
            ("at", number(at.0)),
        ]),
        Event::ConsentCancelled { from, room } => {
            object([kind("consentCancelled"), ("user", from.as_str().into()), scope(room.as_ref())])
        }
        Event::ConsentGranted { by, room } => {
            object([kind("consentGranted"), ("user", by.as_str().into()), scope(room.as_ref())])
        }
        Event::ConsentDone { id } => object([kind("consentDone"), ("id", number(id))]),
        Event::ConsentFailed { id, code } => {
            object([kind("consentFailed"), ("id", number(id)), code_of(code)])
        }
        Event::AccountDone { id } => object([kind("accountDone"), ("id", number(id))]),
        Event::AccountFailed { id, code } => {
            object([kind("accountFailed"), ("id", number(id)), code_of(code)])
        }
        Event::CaughtUp => object([kind("caughtUp")]),
        Event::CatchingUp(progress) => object([
            kind("catchingUp"),
            ("doneThousandths", number(progress.done_thousandths)),
            ("rooms", number(progress.rooms)),
        ]),
    }
}

fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> JsValue {
    texts.map(JsValue::from).collect::<Array>().into()
}

fn kind(name: &str) -> (&'static str, JsValue) {
    ("type", name.into())
}

fn in_room(room: &RoomUri) -> (&'static str, JsValue) {
    ("room", room.as_str().into())
}

/// The room that something is about; undefined: any room.
fn scope(room: Option<&RoomUri>) -> (&'static str, JsValue) {
    ("room", room.map_or(JsValue::UNDEFINED, |room| room.as_str().into()))
}

/// The user whom something is about, if it is about one.
fn about(user: Option<&UserUri>) -> (&'static str, JsValue) {
    ("user", user.map_or(JsValue::UNDEFINED, |user| user.as_str().into()))
}

fn code_of(code: ErrorCode) -> (&'static str, JsValue) {
    ("code", code.as_str().into())
}

pub(super) fn stock(stock: Stock) -> JsValue {
    object([
        kind("keyPackages"),
        ("available", stock.available.into()),
        ("target", stock.target.into()),
        ("lastResort", stock.last_resort.into()),
        ("nextExpiry", stock.next_expiry.map_or(JsValue::UNDEFINED, |at| number(at.0))),
    ])
}

pub(super) fn trusted(user: &UserUri, trust: Trust) -> JsValue {
    object([kind("trustChanged"), ("user", user.as_str().into()), ("trust", trust.as_str().into())])
}

/// One entry of a room's history, as the event of it.
pub(super) fn history_entry(entry: &HistoryEntry) -> JsValue {
    match entry {
        HistoryEntry::Message(message) => logged("message", message),
        HistoryEntry::Undecryptable(message) => undecryptable(message),
    }
}

pub(super) fn reading(reading: &Reading) -> JsValue {
    let last = reading.last.as_ref();
    object([
        ("readTo", number(reading.read_to)),
        ("unread", number(reading.unread)),
        ("last", last.map_or(JsValue::UNDEFINED, |message| logged("message", message))),
        ("waiting", number(reading.waiting)),
        ("failed", number(reading.failed)),
    ])
}

fn undecryptable(message: &Undecryptable) -> JsValue {
    object([
        kind("undecryptable"),
        in_room(&message.room),
        ("key", message.key.as_str().into()),
        ("epoch", number(message.epoch)),
        ("at", number(message.accepted_at.0)),
        ("position", number(message.position)),
    ])
}

fn logged(event: &str, message: &Message) -> JsValue {
    object([
        kind(event),
        in_room(&message.room),
        ("key", message.key.as_str().into()),
        ("user", message.sender.user().as_str().into()),
        ("sender", message.sender.as_str().into()),
        ("epoch", number(message.epoch)),
        ("at", number(message.accepted_at.0)),
        ("position", number(message.position)),
        ("content", bytes(&message.content)),
    ])
}

pub(super) fn own_message(message: &OwnMessage) -> JsValue {
    let (name, at, code, retryable) = match message.delivery {
        Delivery::Queued => ("queued", None, None, None),
        Delivery::Sending => ("sending", None, None, None),
        Delivery::Accepted { at } => ("accepted", Some(at), None, None),
        Delivery::Failed { code, retryable } => ("failed", None, Some(code), Some(retryable)),
        Delivery::Cancelled => ("cancelled", None, None, None),
    };
    object([
        kind("delivery"),
        in_room(&message.room),
        ("key", message.key.as_str().into()),
        ("content", bytes(&message.content)),
        ("writtenAt", number(message.written_at.0)),
        ("state", name.into()),
        ("at", at.map_or(JsValue::UNDEFINED, |at| number(at.0))),
        ("code", code.map_or(JsValue::UNDEFINED, |code| code.as_str().into())),
        ("retryable", retryable.map_or(JsValue::UNDEFINED, JsValue::from)),
    ])
}

pub(super) fn consents(consents: &[Consent]) -> Array {
    let consent = |consent: &Consent| {
        let user = ("user", consent.user.as_str().into());
        object([user, scope(consent.room.as_ref()), ("at", number(consent.at.0))])
    };
    consents.iter().map(consent).collect()
}

pub(super) fn devices(devices: &[Device]) -> Array {
    let device = |device: &Device| {
        let uri = ("uri", device.client.as_str().into());
        object([uri, ("registeredAt", number(device.registered_at.0))])
    };
    devices.iter().map(device).collect()
}

pub(super) fn pseudonyms(pseudonyms: &[Pseudonym]) -> Array {
    let pseudonym = |pseudonym: &Pseudonym| {
        let user = ("user", pseudonym.user().as_str().into());
        object([user, ("pseudonym", bytes(pseudonym.to_bytes()))])
    };
    pseudonyms.iter().map(pseudonym).collect()
}

pub(super) fn room_state(state: &RoomState) -> JsValue {
    let phase = match state.phase {
        RoomPhase::Creating => "creating",
        RoomPhase::Joining => "joining",
        RoomPhase::Joined => "joined",
        RoomPhase::Left => "left",
        RoomPhase::Gap => "gap",
        RoomPhase::Diverged => "diverged",
    };
    let profile = match state.profile {
        Profile::A => "A",
        Profile::B => "B",
    };
    object([
        ("hub", state.hub.as_str().into()),
        ("phase", phase.into()),
        ("epoch", number(state.epoch)),
        ("authenticator", bytes(&state.epoch_authenticator)),
        ("me", state.me.as_str().into()),
        ("participants", state.participants.iter().map(participant).collect::<Array>().into()),
        ("profile", profile.into()),
        ("policy", state.policy.as_deref().map_or(JsValue::UNDEFINED, bytes)),
        ("leaving", state.leaving.into()),
        ("mayChange", state.rights.change.into()),
        ("maySend", state.rights.send.into()),
        ("pending", state.pending.iter().map(pending).collect::<Array>().into()),
    ])
}

fn participant(participant: &Participant) -> JsValue {
    let texts = |texts: Vec<&str>| texts.into_iter().map(JsValue::from).collect::<Array>().into();
    object([
        ("user", participant.user.as_str().into()),
        ("roles", texts(participant.roles.iter().map(|role| role.name()).collect())),
        ("devices", texts(participant.devices.iter().map(|device| device.as_str()).collect())),
        ("trust", participant.trust.as_str().into()),
    ])
}

pub(super) fn pending(intent: &PendingIntent) -> JsValue {
    object([
        ("id", number(intent.id)),
        ("what", intent.what.as_str().into()),
        about(intent.user.as_ref()),
        ("state", intent.state.as_str().into()),
        ("tries", intent.tries.into()),
    ])
}
