//! Own commits: made and stored before they are sent, kept until the log shows who ended their epoch
//! (D6, R67). Each covers all that is pending (R54).

use openmls::{
    framing::PublicMessageIn,
    group::{CommitMessageBundle, MlsGroup},
    key_packages::{KeyPackage, KeyPackageIn},
};
use openmls_traits::OpenMlsProvider;

use super::{
    ErrorCode, IntentId, hubs, intent,
    outlook::Outlook,
    proposals,
    request::{Lane, Request, Settled},
    room::{Fate, OwnCommit, Room, hash, mls_error, required_by},
    step::Step,
};
use crate::{
    error::Result,
    mls::{
        key_package::check_key_package,
        own_commit::{CommitPlan, stage_own},
        upload,
    },
    storage::encode_row,
    transport::Response,
    wire::{
        self, AppSync, PendingProposalsResponse, RatchetTreeOption, UpdateResponseCode,
        UpdateRoomResponse, Verbatim,
        uri::{RoomUri, UserUri},
    },
};

/// What a hub's refusal says before the user whom the commit has to take off the list (R56).
const DEPARTED: &str = "appsync-remove ";

/// What a commit does beside covering what is pending.
#[derive(Default)]
pub(super) struct Plan {
    /// The KeyPackages of the clients that come in.
    pub(super) adds: Vec<Vec<u8>>,
    /// The leaves that go.
    pub(super) removes: Vec<u32>,
    /// The change to the list.
    pub(super) app_sync: Option<AppSync>,
    /// The new policy.
    pub(super) policy: Option<Vec<u8>>,
    /// Whether this device's keys are replaced even if nothing else asks for it.
    pub(super) update_keys: bool,
}

/// Makes one commit of what is pending and of the plan (R40–R42), stores it pending, and sends it.
/// Without a plan it is about what is pending alone, and the intent has to look again.
///
/// # Errors
/// When the plan does not fit the room; then nothing is stored.
pub(super) fn start(
    step: &mut Step<'_>,
    room: &mut Room,
    intent: IntentId,
    plan: Option<Plan>,
) -> Result<()> {
    let mut group = step.group(&room.uri)?;
    let epoch = group.epoch().as_u64();
    let fulfils = plan.is_some();
    let own = step.identity.client.user();
    let plan = with_departures(&own, room, &Outlook::of(&group)?, plan.unwrap_or_default());
    let made = make(step, &room.uri, &mut group, plan)?;
    step.enqueue(&Request::Update(room.uri.clone(), epoch, made.body))?;
    let own = OwnCommit::new(intent, epoch, made.hash, made.by_reference);
    room.own_commit = Some(OwnCommit { fulfils, ..own });
    hubs::learn(step, room.uri.domain())?;
    Ok(step.store_room(room)?)
}

/// R56: who has lost the last leaf to the hub leaves the list in the next commit; also those whom the
/// hub named, if they have none. Users of its own the hub may also name with leaves: it has deleted
/// them, and in a room without proposals of the hub the commit takes the leaves out as well.
fn with_departures(own: &UserUri, room: &Room, outlook: &Outlook, mut plan: Plan) -> Plan {
    let named = room.departed.iter().filter(|user| {
        let is_hubs = user.domain() == room.uri.domain() && *user != own;
        outlook.list_after.roles_of(user).is_some() && (is_hubs || outlook.is_without_devices(user))
    });
    let mut users = outlook.departing();
    users.extend(named.cloned());
    users.sort_unstable();
    users.dedup();
    plan.removes.extend(users.iter().flat_map(|user| outlook.staying_leaves_of(user)));
    plan.removes.sort_unstable();
    plan.removes.dedup();
    // Whom a pending AppSync names is not to be named again: the hub has another view, and says so.
    for user in users.iter().filter(|user| !outlook.names(user)) {
        let app_sync = plan.app_sync.get_or_insert_default();
        if !app_sync.names(user) {
            app_sync.remove_users.push(user.to_wire());
        }
    }
    plan
}

/// The bytes of an `UpdateRequest`, and the hash by which the log's commit is recognised.
pub(super) struct Made {
    pub(super) body: Vec<u8>,
    pub(super) hash: Vec<u8>,
    /// Whether the tree is not in it (A23).
    pub(super) by_reference: bool,
}

fn make(step: &mut Step<'_>, uri: &RoomUri, group: &mut MlsGroup, plan: Plan) -> Result<Made> {
    let Plan { adds, removes, app_sync, policy, update_keys } = plan;
    let adds = key_packages(step, group, &adds)?;
    let plan = CommitPlan { adds, removes, app_sync, policy, update_keys };
    let identity = step.identity;
    let (bundle, tree) = stage_own(group, &step.provider(), &identity.key_pair, plan)?;
    let option = hubs::tree_option(step, uri.domain(), &tree)?;
    upload(bundle, option)
}

/// The valid ones of these encoded KeyPackages have to be all.
fn key_packages(step: &Step<'_>, group: &MlsGroup, encoded: &[Vec<u8>]) -> Result<Vec<KeyPackage>> {
    let required = required_by(group)?;
    let check = |bytes: &Vec<u8>| {
        let key_package = Verbatim::<KeyPackageIn>::own(bytes.clone())?.into_value();
        let valid = check_key_package(step.algorithms(), key_package, &required, step.now)?;
        Ok(valid.key_package)
    };
    encoded.iter().map(check).collect()
}

/// The `UpdateRequest` of a commit and the tree after it (R46).
pub(super) fn upload(bundle: CommitMessageBundle, tree: RatchetTreeOption) -> Result<Made> {
    let by_reference = tree == RatchetTreeOption::ByReference;
    let (request, message) = upload::commit(bundle, tree)?;
    Ok(Made { body: wire::encode(&request)?, hash: hash(&message), by_reference })
}

/// The hub answered the commit for `epoch` (R62).
pub(super) fn answered(
    step: &mut Step<'_>,
    uri: &RoomUri,
    epoch: u64,
    response: &Response,
) -> Result<Settled> {
    let Some(mut room) = step.room(uri)? else { return Ok(Settled::Delivered) };
    let Some(own) = room.own_commit.as_mut().filter(|own| own.epoch == epoch) else {
        // The log was faster.
        return Ok(Settled::Delivered);
    };
    match verdict(response) {
        Verdict::Unknown => return Ok(Settled::Later(response.retry_after_millis())),
        Verdict::Accepted => own.fate = Fate::Accepted,
        Verdict::WrongEpoch => own.fate = Fate::WrongEpoch,
        refusal => {
            let own = own.clone();
            if matches!(refusal, Verdict::LacksProposals(_)) {
                proposals::drop_covered(step, uri)?;
            }
            drop_pending(step, &mut room)?;
            not_taken(step, &mut room, &own, refusal)?;
            return Ok(Settled::Delivered);
        }
    }
    room.fetch(step)?;
    step.store_room(&room)?;
    Ok(Settled::Delivered)
}

/// The hub refused the commit, which is dropped, and the epoch goes on.
fn not_taken(
    step: &mut Step<'_>,
    room: &mut Room,
    own: &OwnCommit,
    refusal: Verdict,
) -> Result<()> {
    match refusal {
        Verdict::LacksProposals(pending) => {
            proposals::take_all(step, room, pending)?;
            rebuild(step, room, own)
        }
        Verdict::LacksDeparture(user) => {
            room.departed.push(user);
            rebuild(step, room, own)
        }
        Verdict::Unreadable if own.by_reference => {
            hubs::note(step, room.uri.domain(), false)?;
            rebuild(step, room, own)
        }
        Verdict::Unreadable => refused(step, room, own, ErrorCode::Internal),
        Verdict::Refused(code) => refused(step, room, own, code),
        Verdict::Accepted | Verdict::WrongEpoch | Verdict::Unknown => Ok(()),
    }
}

/// R63, R56: the commit is made anew with what the hub wants in it.
fn rebuild(step: &mut Step<'_>, room: &mut Room, own: &OwnCommit) -> Result<()> {
    if !room.may_rebuild() {
        return refused(step, room, own, ErrorCode::Conflict);
    }
    step.store_room(room)?;
    intent::advance(step, &room.uri)
}

/// The hub does not take the commit, whatever is done.
fn refused(step: &mut Step<'_>, room: &mut Room, own: &OwnCommit, code: ErrorCode) -> Result<()> {
    room.rebuilds = 0;
    step.store_room(room)?;
    if let Some(intent) = intent::load(step, &room.uri, own.intent)? {
        intent.failed(step, &room.uri, code);
    }
    intent::advance(step, &room.uri)
}

/// What the hub says to an update (R62).
pub(super) enum Verdict {
    /// It cannot read it: of ours, only a tree by reference is not for everybody.
    Unreadable,
    Accepted,
    WrongEpoch,
    Unknown,
    Refused(ErrorCode),
    /// Proposals are pending that the commit does not cover (R54).
    LacksProposals(Vec<Verbatim<PublicMessageIn>>),
    /// The commit has to take this user off the list (R56).
    LacksDeparture(UserUri),
}

/// R62: a body that decodes decides, else the status.
pub(super) fn verdict(response: &Response) -> Verdict {
    if let Some(pending) = pending_proposals(response) {
        return Verdict::LacksProposals(pending);
    }
    match wire::decode_exact::<UpdateRoomResponse>(&response.body) {
        Ok(answer) => match answer.response_code {
            UpdateResponseCode::Success => Verdict::Accepted,
            UpdateResponseCode::WrongEpoch => Verdict::WrongEpoch,
            UpdateResponseCode::NotAllowed => departed(answer.error_description.as_slice())
                .map_or(Verdict::Refused(ErrorCode::NotAllowed), Verdict::LacksDeparture),
            UpdateResponseCode::HubUnresponsive => Verdict::Unknown,
            UpdateResponseCode::InvalidProposal => Verdict::Refused(ErrorCode::InvalidProposal),
        },
        Err(_) if response.is_success() => Verdict::Accepted,
        Err(_) if response.status == 409 => Verdict::WrongEpoch,
        Err(_) if response.status == 400 => Verdict::Unreadable,
        Err(_) => Verdict::Refused(ErrorCode::of_status(response.status)),
    }
}

/// The proposals in a refusal for the lack of them (A12); any other 401 is about the device.
pub(super) fn pending_proposals(response: &Response) -> Option<Vec<Verbatim<PublicMessageIn>>> {
    if response.status != 401 {
        return None;
    }
    let answer: PendingProposalsResponse = wire::decode_exact(&response.body).ok()?;
    Some(answer.pending_proposals)
}

fn departed(description: &[u8]) -> Option<UserUri> {
    let user = std::str::from_utf8(description).ok()?.strip_prefix(DEPARTED)?;
    UserUri::parse(user).ok()
}

/// The log ends here for now and does not show the end of the own commit's epoch.
///
/// An accepted commit is merged: nothing can come between (D6). A refused one waits for the one that
/// won, which a follower may get later than the refusal.
pub(super) fn settle_at_end_of_log(step: &mut Step<'_>, room: &mut Room) -> Result<()> {
    let Some(own) = room.own_commit.clone() else { return Ok(()) };
    match own.fate {
        Fate::Unknown => Ok(()),
        Fate::Accepted => {
            let mut group = step.group(&room.uri)?;
            merge_own(step, room, &mut group)
        }
        Fate::WrongEpoch => {
            let uri = room.uri.clone();
            if let Some(mut intent) = intent::load(step, &uri, own.intent)? {
                intent.replay(step, &uri)?;
            }
            if intent::load(step, &uri, own.intent)?.is_none() {
                drop_pending(step, room)?;
            }
            Ok(())
        }
    }
}

/// The epoch ended by the own commit.
pub(super) fn merge_own(step: &mut Step<'_>, room: &mut Room, group: &mut MlsGroup) -> Result<()> {
    group.merge_pending_commit(&step.provider()).map_err(mls_error("the own commit"))?;
    if let Some(own) = room.own_commit.take() {
        room.last_own_commit = Some((own.epoch, own.hash));
        if let Some(intent) = intent::load(step, &room.uri, own.intent)?
            && own.fulfils
        {
            intent.done(step, &room.uri);
        }
    }
    room.epoch_changed(step, group)
}

/// The epoch ended by another commit, which is merged: the intent starts again (D6, D20).
pub(super) fn replay_own(step: &mut Step<'_>, room: &mut Room) -> Result<()> {
    let Some(own) = room.own_commit.take() else { return Ok(()) };
    if let Some(mut intent) = intent::load(step, &room.uri, own.intent)? {
        intent.replay(step, &room.uri)?;
    }
    // If the commit still waits to be sent, it has no purpose any more and is in the way.
    let lane = encode_row(&Lane::Intents(room.uri.clone()))?;
    Ok(step.outbox.wake(&mut step.transaction, &lane, step.now)?)
}

/// The own commit is not the one that ends the epoch.
fn drop_pending(step: &mut Step<'_>, room: &mut Room) -> Result<()> {
    let mut group = step.group(&room.uri)?;
    group.clear_pending_commit(step.provider().storage())?;
    room.own_commit = None;
    Ok(step.store_room(room)?)
}
