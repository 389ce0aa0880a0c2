//! `POST /client/v1/rooms/{room}`: a device of this provider creates a room (D1, R14, R15).

use openmls::{
    extensions::{Extension, ExternalSender},
    group::{GroupContext, ProposalStore, PublicGroup},
    messages::group_info::VerifiableGroupInfo,
    prelude::{ExtensionType, Extensions, OpenMlsCrypto},
};
use sha2::{Digest, Sha256};

use super::{HubRoom, Then, fanout, group::Room, table};
use crate::{
    config::ProviderConfig,
    error::{InternalError, ProtocolError, Result},
    mls::{HubGroupStore, accepted_suite, credential, group_info::check_extensions},
    object::{Ask, Call, Reply, Step},
    room::{ParticipantList, Profile, app_sync},
    storage::encode_row,
    transport::{
        Endpoint, IncomingRequest, ObjectCall, ObjectName, Outcome, Response, RoomFacts, Source,
    },
    wire::{
        RatchetTree, RatchetTreeOption, RoomCreation, Verbatim, decode_exact,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// A room's first state as it was uploaded, decoded.
struct Uploaded {
    group_info: Verbatim<VerifiableGroupInfo>,
    tree: RatchetTree,
}

impl Uploaded {
    /// # Errors
    /// [`ProtocolError::Malformed`] when the body is none, or of another group (R8, A23).
    fn parse(room: &RoomUri, body: &[u8]) -> Result<Self, ProtocolError> {
        let RoomCreation { group_info, ratchet_tree_option } = decode_exact(body)?;
        let RatchetTreeOption::Full(tree) = ratchet_tree_option else {
            return Err(ProtocolError::Malformed("only a full ratchet tree is taken"));
        };
        if group_info.group_id().as_slice() != room.as_str().as_bytes() {
            return Err(ProtocolError::Malformed("another group"));
        }
        Ok(Self { group_info, tree })
    }
}

/// Creates the room, unless there is one, or a user of that name (D15).
pub(super) fn create(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    source: &Source,
    body: Vec<u8>,
) -> Result<Reply> {
    let Source::Device(creator) = source else {
        return Err(ProtocolError::PeerRefused("only own devices create rooms").into());
    };
    Uploaded::parse(&hub.uri, &body)?;
    if hub.uri.domain() != &step.config.domain {
        return Err(ProtocolError::NotFound("a room of another provider").into());
    }
    if let Some(answer) = answer_existing(step, &body)? {
        return Ok(Reply::Respond(answer));
    }
    // A room in `mimi:` syntax cannot bear a user's name.
    let Ok(namesake) = UserUri::parse(hub.uri.as_str()) else {
        return store_first_epoch(hub, step, creator, &body).map(Reply::Respond);
    };
    let call = Call::Object(ObjectCall {
        object: ObjectName::user(&namesake),
        request: IncomingRequest {
            source: Source::Own,
            endpoint: Endpoint::Exists,
            body: Vec::new(),
        },
    });
    let then = encode_row(&Then::Create { creator: creator.clone(), body })?;
    Ok(Reply::Ask(Ask { call, label: "exists".into(), then }))
}

/// Goes on when it is known whether there is a user of that name.
pub(super) fn resume(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    creator: &ClientUri,
    body: &[u8],
    outcome: Outcome,
) -> Result<Reply> {
    match outcome.map(|response| response.status) {
        Some(404) => {}
        Some(200) => return Err(ProtocolError::Conflict("the name is a user's").into()),
        _ => return Err(ProtocolError::HubUnresponsive.into()),
    }
    if let Some(answer) = answer_existing(step, body)? {
        return Ok(Reply::Respond(answer));
    }
    store_first_epoch(hub, step, creator, body).map(Reply::Respond)
}

/// The answer when the room is there: 200 to the bytes that created it, else 409.
fn answer_existing(step: &Step<'_>, body: &[u8]) -> Result<Option<Response>> {
    match step.transaction.read(&[table::CREATION])? {
        None => Ok(None),
        Some(hash) if hash == Sha256::digest(body).as_slice() => Ok(Some(Response::empty(200))),
        Some(_) => Err(ProtocolError::Conflict("the room exists").into()),
    }
}

fn store_first_epoch(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    creator: &ClientUri,
    body: &[u8],
) -> Result<Response> {
    let Uploaded { group_info, tree } = Uploaded::parse(&hub.uri, body)?;
    check_context(step.config, creator, &group_info)?;
    let group_info_bytes = group_info.bytes().to_vec();
    let room = check_first_epoch(hub.crypto.algorithms(), creator, group_info.into_value(), &tree)?;

    room.store.set_group_info(group_info_bytes);
    room.store.save(&mut step.transaction, table::GROUP)?;
    step.transaction.write(vec![table::CREATION], Sha256::digest(body).to_vec());
    fanout::LOG.open_window(&mut step.transaction, creator, 0)?;
    let facts = RoomFacts {
        cipher_suite: room.group.ciphersuite().into(),
        profile: Some(room.roster.profile.into()),
    };
    fanout::record_user(step, &creator.user(), 0, Some(facts))?;
    hub.cache = Some(room);
    Ok(Response::empty(201))
}

/// The group, if its signatures, hashes and leaf are right and the creator is alone in it.
fn check_first_epoch(
    crypto: &impl OpenMlsCrypto,
    creator: &ClientUri,
    group_info: VerifiableGroupInfo,
    tree: &RatchetTree,
) -> Result<Room> {
    const INVALID: ProtocolError = ProtocolError::InvalidProposal("the GroupInfo or its tree");
    let store = HubGroupStore::new();
    let (group, _) =
        PublicGroup::from_external(crypto, &store, tree.nodes()?, group_info, ProposalStore::new())
            .map_err(|_| INVALID)?;
    let leaves = group.members().map(|member| credential::client_uri_of(&member.credential));
    if leaves.collect::<Result<Vec<_>, _>>()? != [creator.clone()] {
        return Err(ProtocolError::InvalidProposal("the creator is not alone").into());
    }
    Ok(Room::new(group, store)?)
}

/// D1: the first epoch, the extensions of a room of ours, the hub's key or nobody's.
fn check_context(
    config: &ProviderConfig,
    creator: &ClientUri,
    group_info: &VerifiableGroupInfo,
) -> Result<()> {
    let invalid = |why| Err(ProtocolError::InvalidProposal(why).into());
    if group_info.epoch().as_u64() != 0 {
        return invalid("not the first epoch");
    }
    if accepted_suite(group_info.ciphersuite().into()).is_none() {
        return invalid("the cipher suite");
    }
    check_extensions(group_info)?;
    let context = group_info.group_context().extensions();
    let (external_senders, others): (Vec<_>, Vec<_>) = context
        .iter()
        .partition(|extension| extension.extension_type() == ExtensionType::ExternalSenders);
    let expected = expected_extensions(Profile::of(context)?, creator)?;
    let expected: Vec<_> = expected.iter().collect();
    if others.len() != expected.len() || !others.iter().all(|other| expected.contains(other)) {
        return invalid("the group context's extensions");
    }
    let scheme = group_info.ciphersuite().signature_algorithm() as u16;
    match external_senders.as_slice() {
        [] => Ok(()),
        [Extension::ExternalSenders(senders)]
            if Some(senders.as_slice())
                == own_sender(config, scheme).as_ref().map(std::slice::from_ref) =>
        {
            Ok(())
        }
        _ => invalid("the external senders are not the hub alone"),
    }
}

fn expected_extensions(
    profile: Profile,
    creator: &ClientUri,
) -> Result<Extensions<GroupContext>, InternalError> {
    app_sync::initial_extensions(profile, &ParticipantList::of_creator(creator.user()))
}

/// The hub as an external sender (D2).
fn own_sender(config: &ProviderConfig, scheme: u16) -> Option<ExternalSender> {
    let key = config.hub_key(scheme)?;
    let credential = credential::credential_of_hub(&config.domain);
    Some(ExternalSender::new(key.public.as_slice().into(), credential))
}
