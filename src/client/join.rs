//! The inbox, and joining by a Welcome from it.

use openmls::{
    framing::{MlsMessageBodyIn, MlsMessageIn},
    key_packages::KeyPackageBundle,
    messages::Welcome,
    prelude::KeyPackageRef,
};
use openmls_traits::{OpenMlsProvider, storage::StorageProvider};

use super::{
    Event, RoomPhase, external, hubs, intent, key_packages, known,
    request::{Request, Settled},
    room::Room,
    rooms,
    step::Step,
    task::Join,
};
use crate::{
    error::{Error, Result},
    mls::{entry, key_package::KeyPackageKind},
    transport::Response,
    wire::{self, EventPage, LogEvent, RatchetTree, RatchetTreeOption, uri::RoomUri},
};

/// Most Welcomes of one room that wait for this device's removal; the newest are kept.
pub(super) const MOST_WAITING: usize = 8;

/// Asks for the inbox after the cursor, unless that is on its way.
pub(super) fn fetch(step: &mut Step<'_>) -> Result<()> {
    let mut account = step.account()?;
    if account.fetching_inbox {
        return Ok(());
    }
    account.fetching_inbox = true;
    step.store_account(&account)?;
    Ok(step.enqueue(&Request::Inbox)?)
}

/// An event of the inbox was pushed.
pub(super) fn pushed(step: &mut Step<'_>, event: &LogEvent) -> Result<()> {
    let cursor = step.account()?.inbox;
    if event.position <= cursor {
        return Ok(());
    }
    if event.previous != cursor {
        return fetch(step);
    }
    take_all(step, std::slice::from_ref(event))
}

/// The provider answered `GET inbox`.
pub(super) fn page_answered(step: &mut Step<'_>, response: &Response) -> Result<Settled> {
    let mut account = step.account()?;
    account.fetching_inbox = false;
    step.store_account(&account)?;
    if let (true, Ok(page)) =
        (response.is_success(), wire::decode_exact::<EventPage>(&response.body))
    {
        let before = step.account()?.inbox;
        take_all(step, &page.events)?;
        // A page that brings nothing new is the last one, whatever the provider says of more.
        if page.more && step.account()?.inbox > before {
            fetch(step)?;
        }
    }
    Ok(Settled::Delivered)
}

fn take_all(step: &mut Step<'_>, events: &[LogEvent]) -> Result<()> {
    let mut account = step.account()?;
    for event in events {
        if event.position <= account.inbox {
            continue;
        }
        account.inbox = event.position;
        step.store_account(&account)?;
        take(step, event)?;
        account = step.account()?;
    }
    step.acknowledge(None, account.inbox);
    Ok(())
}

fn take(step: &mut Step<'_>, event: &LogEvent) -> Result<()> {
    let Ok(room) = RoomUri::from_wire(&event.room_id) else { return Ok(()) };
    let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::clone(&event.message.message).extract()
    else {
        return Ok(());
    };
    let known = step.room(&room)?;
    if let Some(mut known) = known.clone().filter(|known| known.phase == RoomPhase::Joined) {
        // A copy, another group under this room's name, or a way back after the commit that takes this
        // device out: a Welcome brings nobody out of a room.
        if opener(step, &welcome)?.is_some() {
            known.welcomes.push(wire::encode(event)?);
            let too_many = known.welcomes.len().saturating_sub(MOST_WAITING);
            known.welcomes.drain(..too_many);
            step.store_room(&known)?;
        }
        return Ok(());
    }
    if known.as_ref().is_some_and(|known| known.own_commit.is_some()) {
        // The external commit that is on its way takes this leaf's place, or is made again over it.
        return Ok(());
    }
    if !step.may_enter(&room)? {
        return Ok(());
    }
    let Some(opener) = opener(step, &welcome)? else {
        // Used already, or for a key that is lost.
        return if known.is_none() { join_otherwise(step, room, known) } else { Ok(()) };
    };
    let Some(RatchetTreeOption::Full(tree)) = &event.message.ratchet_tree_option else {
        return join_otherwise(step, room, known);
    };
    match join(step, &room, welcome, tree) {
        Ok(epoch) => joined(step, room, epoch, &opener),
        Err(Error::Protocol(_)) => join_otherwise(step, room, known),
        Err(error) => Err(error),
    }
}

/// This device was taken out of the room, and perhaps brought in again, perhaps several times: with the
/// first Welcome that can be opened it is in, and the others wait again.
pub(super) fn after_removal(step: &mut Step<'_>, room: &mut Room) -> Result<()> {
    let waiting = std::mem::take(&mut room.welcomes);
    step.store_room(room)?;
    waiting.iter().try_for_each(|event| take(step, &wire::decode_exact(event)?))
}

/// D9: the Welcome cannot be opened, but its room is open to this device.
fn join_otherwise(step: &mut Step<'_>, uri: RoomUri, known: Option<Room>) -> Result<()> {
    step.emit(Event::WelcomeFailed { room: uri.clone() });
    let was = known.as_ref().map(|room| room.phase);
    let mut room = known.unwrap_or_else(|| Room::new(uri, RoomPhase::Joining, 0));
    if room.follows_the_log() || was.is_none() {
        external::begin(step, &mut room, Join::automatic(was))?;
    }
    Ok(())
}

/// One of this device's KeyPackages, which opens a Welcome.
struct Opener {
    reference: KeyPackageRef,
    kind: KeyPackageKind,
}

/// The KeyPackage of this device that opens the Welcome, if one does.
fn opener(step: &mut Step<'_>, welcome: &Welcome) -> Result<Option<Opener>> {
    let provider = step.provider();
    for secrets in welcome.secrets() {
        let reference = secrets.new_member();
        let bundle: Option<KeyPackageBundle> = provider.storage().key_package(&reference)?;
        if let Some(bundle) = bundle {
            let kind = KeyPackageKind::of(bundle.key_package());
            return Ok(Some(Opener { reference, kind }));
        }
    }
    Ok(None)
}

/// Opens the Welcome; gives the epoch in which this device comes in.
fn join(step: &mut Step<'_>, room: &RoomUri, welcome: Welcome, tree: &RatchetTree) -> Result<u64> {
    let client = &step.identity.client;
    let group = entry::join(&step.provider(), client, Some(room), welcome, tree.nodes()?)?;
    Ok(group.epoch().as_u64())
}

fn joined(step: &mut Step<'_>, uri: RoomUri, epoch: u64, opener: &Opener) -> Result<()> {
    let mut room = Room::new(uri, RoomPhase::Joined, epoch);
    room.fetch(step)?;
    step.store_room(&room)?;
    external::superseded(step, &room.uri)?;
    rooms::phase_changed(step)?;
    hubs::learn(step, room.uri.domain())?;
    let group = step.group(&room.uri)?;
    known::room_changed(step, &room.uri, &group)?;
    match opener.kind {
        KeyPackageKind::SingleUse => key_packages::ask_stock(step)?,
        KeyPackageKind::LastResort => key_packages::last_resort_used(step, &opener.reference)?,
    }
    intent::advance(step, &room.uri)
}
