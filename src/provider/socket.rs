//! A device's WebSocket: hello, catching up, acknowledgements.
//!
//! After a good hello the device gets its Welcomes, the version of the user's consent if anything was
//! said about it, then room by room what it lacks of each log, after a word on how much that is, then
//! `caughtUp`. Pushes come in between; positions tell the device what it has already. A room of a
//! Welcome that the hello has no cursor for is asked too, for nothing: so it knows that somebody
//! listens who enters now (`object::listeners`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    client_auth::{SignedRequest, authenticate},
    consent, inbox,
    route::{CLIENT_PATH, room_named},
    user::Then,
};
use crate::{
    error::{Error, InternalError, Result},
    mls::MlsCrypto,
    object::Step,
    storage::encode_row,
    transport::{
        Effect, Endpoint, IncomingRequest, ObjectCall, ObjectName, Outcome, SocketId, Source,
    },
    wire::{
        Cursor, DeviceAuth, EventPage, FromClient, FromProvider, MAX_BODY_BYTES, decode_exact,
        encode, percent_encode,
        uri::{ClientUri, RoomUri},
    },
};

/// How many positions further a device has to be before the room hears of it again: not every message
/// is to cost a call.
const NOTE_STRIDE: u64 = 64;
/// Most cursors of one hello.
const MAX_CURSORS: usize = 4096;

/// A frame that is none, or not here (RFC 6455 §7.4.2: 4000–4999 are private use).
const BAD_FRAME: u16 = 4400;
/// The hello does not prove who it is from, or the device is no longer known.
pub(super) const NOT_SIGNED_IN: u16 = 4401;
/// Something did not answer (RFC 6455's registry: "Try Again Later").
const TRY_AGAIN_LATER: u16 = 1013;

/// The positions of rooms' logs that were passed on for devices, as long as the object lives.
#[derive(Debug, Default)]
pub(super) struct Noted(BTreeMap<(ClientUri, RoomUri), u64>);

/// Catching up of one device on one socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CatchUp {
    socket: SocketId,
    device: ClientUri,
    /// The position in the inbox after which there is more to come.
    inbox: Option<u64>,
    /// The room that was asked, and the rooms to come, each with the device's position.
    rooms: Vec<(RoomUri, u64)>,
    /// Whether the device was told that the room that was asked comes next.
    announced: bool,
    /// A room did not answer: what follows `rooms` is a close.
    incomplete: bool,
}

/// Takes in a frame of `socket`, which is `device`'s once it said hello.
///
/// # Errors
/// When the storage fails. A bad frame closes the socket instead.
pub(super) fn handle_frame(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    noted: &mut Noted,
    (socket, device): (SocketId, Option<&ClientUri>),
    frame: &[u8],
) -> Result<()> {
    let decoded = (frame.len() <= MAX_BODY_BYTES).then(|| decode_exact(frame).ok()).flatten();
    let close = match (device, decoded) {
        (None, Some(FromClient::Hello { auth, cursors })) => {
            hello(step, crypto, socket, &auth, cursors)?
        }
        (None, Some(FromClient::Ack(_))) => Some(NOT_SIGNED_IN),
        (Some(device), Some(FromClient::Ack(cursor))) => acknowledge(step, noted, device, &cursor)?,
        (_, None) | (Some(_), Some(FromClient::Hello { .. })) => Some(BAD_FRAME),
    };
    if let Some(code) = close {
        step.effect(Effect::Close { socket, code });
    }
    Ok(())
}

/// Says with which code to close the socket, if the hello is not good.
fn hello(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    socket: SocketId,
    auth: &DeviceAuth,
    cursors: Vec<Cursor>,
) -> Result<Option<u16>> {
    let Some((inbox, rooms)) = positions(&cursors) else { return Ok(Some(BAD_FRAME)) };
    let path = format!("{CLIENT_PATH}socket/{}", percent_encode(&auth.client_uri.0));
    let request = SignedRequest { method: "GET", path: &path, body: &[] };
    let device = match authenticate(step, crypto, auth, &request) {
        Ok(device) => device,
        Err(Error::Protocol(_)) => return Ok(Some(NOT_SIGNED_IN)),
        Err(error) => return Err(error),
    };
    step.effect(Effect::Bind { socket, device: device.clone() });
    let inbox = Some(inbox);
    let catch_up = CatchUp { socket, device, inbox, rooms, announced: false, incomplete: false };
    proceed(step, catch_up)?;
    Ok(None)
}

/// The position in the inbox and in each room; `None` when there are too many, one twice, or one of
/// no room.
fn positions(cursors: &[Cursor]) -> Option<(u64, Vec<(RoomUri, u64)>)> {
    if cursors.len() > MAX_CURSORS {
        return None;
    }
    let by_room: BTreeMap<&str, u64> =
        cursors.iter().map(|cursor| (cursor.room_id.0.as_str(), cursor.position)).collect();
    if by_room.len() < cursors.len() {
        return None;
    }
    let inbox = by_room.get("").copied().unwrap_or(0);
    let rooms = by_room
        .into_iter()
        .filter(|(room, _)| !room.is_empty())
        .map(|(room, position)| Some((room_named(room)?, position)))
        .collect::<Option<_>>()?;
    Some((inbox, rooms))
}

/// The inbox is here; the room's object hears now and then of what a device has of its log (D22).
fn acknowledge(
    step: &mut Step<'_>,
    noted: &mut Noted,
    device: &ClientUri,
    cursor: &Cursor,
) -> Result<Option<u16>> {
    if cursor.room_id.0.is_empty() {
        inbox::acknowledge(&mut step.transaction, device, cursor.position)?;
    } else if let Some(room) = room_named(&cursor.room_id.0) {
        noted.note(step, device, &room, cursor.position);
    } else {
        return Ok(Some(BAD_FRAME));
    }
    Ok(None)
}

impl Noted {
    /// Tells the room's object, if that is worth a call. Nothing of it is stored here, and a call that
    /// gets lost is made up for by a later one.
    fn note(&mut self, step: &mut Step<'_>, device: &ClientUri, room: &RoomUri, position: u64) {
        let noted = self.0.entry((device.clone(), room.clone())).or_default();
        if position < noted.saturating_add(NOTE_STRIDE) {
            return;
        }
        *noted = position;
        step.effect(Effect::Call(ObjectCall {
            object: ObjectName::room(room, &step.config.domain),
            request: IncomingRequest {
                source: Source::Device(device.clone()),
                endpoint: Endpoint::Acknowledge { room: room.clone(), position },
                body: Vec::new(),
            },
        }));
    }
}

/// Sends a page of the inbox and then the version of the user's consent.
fn send_inbox(step: &mut Step<'_>, catch_up: &mut CatchUp, after: u64) -> Result<()> {
    let CatchUp { device, inbox, rooms, .. } = catch_up;
    let page = inbox::page(&step.transaction, device, after)?;
    let last = page.events.last().map_or(after, |event| event.position);
    for event in page.events {
        if let Some(room) = room_named(&event.room_id.0)
            && !rooms.iter().any(|(other, _)| *other == room)
        {
            // In front: of those behind the device knows how many they are.
            rooms.insert(0, (room, u64::MAX));
        }
        send(step, device, &FromProvider::Inbox(event))?;
    }
    *inbox = page.more.then_some(last);
    let version = consent::version(&step.transaction)?;
    if !page.more && version > 0 {
        send(step, device, &FromProvider::Consent { version })?;
    }
    Ok(())
}

/// Sends what is next of the inbox, then asks the next room, or says that there is none.
fn proceed(step: &mut Step<'_>, mut catch_up: CatchUp) -> Result<()> {
    if let Some(after) = catch_up.inbox {
        send_inbox(step, &mut catch_up, after)?;
    }
    if catch_up.inbox.is_some() {
        // A step of its own for each page: this object is asked for nothing but that.
        let call = ObjectCall {
            object: ObjectName::user(&catch_up.device.user()),
            request: IncomingRequest {
                source: Source::Own,
                endpoint: Endpoint::Exists,
                body: Vec::new(),
            },
        };
        let then = encode_row(&Then::CatchUp(catch_up))?;
        return Ok(step.ask(call, "inbox", then)?);
    }
    let Some((room, after)) = catch_up.rooms.first().cloned() else {
        let CatchUp { socket, device, incomplete, .. } = catch_up;
        if incomplete {
            step.effect(Effect::Close { socket, code: TRY_AGAIN_LATER });
            return Ok(());
        }
        return send(step, &device, &FromProvider::CaughtUp);
    };
    let call = ObjectCall {
        object: ObjectName::room(&room, &step.config.domain),
        request: IncomingRequest {
            source: Source::Device(catch_up.device.clone()),
            endpoint: Endpoint::Events { room, after },
            body: Vec::new(),
        },
    };
    let then = encode_row(&Then::CatchUp(catch_up))?;
    Ok(step.ask(call, "events", then)?)
}

/// Goes on with the inbox, or when a room answered. One that does not know the device (any more) is passed over.
///
/// # Errors
/// When the storage fails.
pub(super) fn resume(step: &mut Step<'_>, mut catch_up: CatchUp, outcome: Outcome) -> Result<()> {
    if catch_up.inbox.is_some() {
        return proceed(step, catch_up);
    }
    let page = match outcome {
        Some(response) if response.status == 200 => {
            decode_exact::<EventPage>(&response.body).map_err(|_| ())
        }
        Some(response) if response.status < 500 => {
            Ok(EventPage { events: Vec::new(), end: 0, more: false, gap: false })
        }
        Some(_) | None => Err(()),
    };
    let left = u32::try_from(catch_up.rooms.len()).unwrap_or(u32::MAX).saturating_sub(1);
    let Some((room, after)) = catch_up.rooms.first_mut() else {
        return Err(InternalError::Storage("catching up with no room").into());
    };
    let mut again = false;
    match page {
        Err(()) => catch_up.incomplete = true,
        Ok(page) => {
            if page.gap {
                let room_id = room.to_wire();
                send(step, &catch_up.device, &FromProvider::Gap { room_id })?;
            }
            if !catch_up.announced && !page.events.is_empty() {
                catch_up.announced = true;
                let (room_id, end) = (room.to_wire(), page.end);
                let frame = FromProvider::CatchingUp { room_id, end, left };
                send(step, &catch_up.device, &frame)?;
            }
            let before = *after;
            for event in page.events {
                *after = event.position;
                send(step, &catch_up.device, &FromProvider::Event(event))?;
            }
            again = page.more && *after > before;
        }
    }
    if !again {
        catch_up.rooms.remove(0);
        catch_up.announced = false;
    }
    proceed(step, catch_up)
}

fn send(step: &mut Step<'_>, device: &ClientUri, frame: &FromProvider) -> Result<()> {
    let frame = encode(frame)?;
    step.effect(Effect::Send { device: device.clone(), frame });
    Ok(())
}
