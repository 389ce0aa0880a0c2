//! What is permitted in a room: pure functions of the list and the request. And the room's base policy,
//! which the draft leaves to the application: opaque bytes in the GroupContext (R36).
//!
//! The draft's default: all participants may do everything, everybody else nothing (R43), and a user
//! who was removed or banned may only take its leaves out (R45).

use openmls::{
    extensions::{Extension, Extensions, UnknownExtension},
    group::GroupContext,
    prelude::ProposalType,
};
use tls_codec::VLBytes;

use super::{ParticipantList, codepoints::extension};
use crate::{
    error::{Error, ProtocolError},
    wire::{self, uri::UserUri},
};

/// Largest policy of a `RoomPolicy`, in bytes (R36).
pub const MAX_ROOM_POLICY_BYTES: usize = 16 << 10;

const BAD_POLICY: ProtocolError = ProtocolError::InvalidProposal("the room's policy");

/// The base policy in a GroupContext; `None` before the first was set (D1, R36).
///
/// ```text
/// struct { opaque policy<V>; } RoomPolicy;
/// ```
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when the extension is no `RoomPolicy`, or one of more than
/// [`MAX_ROOM_POLICY_BYTES`].
pub fn room_policy(
    extensions: &Extensions<GroupContext>,
) -> Result<Option<Vec<u8>>, ProtocolError> {
    let Some(extension) = extensions.unknown(extension::ROOM_POLICY) else { return Ok(None) };
    let policy: VLBytes = wire::decode_exact(&extension.0).map_err(|_| BAD_POLICY)?;
    if policy.as_slice().len() > MAX_ROOM_POLICY_BYTES {
        return Err(BAD_POLICY);
    }
    Ok(Some(policy.into()))
}

/// The extension that says `policy` (R36).
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when it is longer than [`MAX_ROOM_POLICY_BYTES`].
pub fn policy_extension(policy: &[u8]) -> Result<Extension, Error> {
    if policy.len() > MAX_ROOM_POLICY_BYTES {
        return Err(BAD_POLICY.into());
    }
    let policy = UnknownExtension(wire::encode(&VLBytes::from(policy))?);
    Ok(Extension::Unknown(extension::ROOM_POLICY, policy))
}

/// Whether `user` may send a commit (R43, R45).
///
/// # Errors
/// [`ProtocolError::NotAllowed`] for anybody but a participant.
pub fn authorize_commit(list: &ParticipantList, user: &UserUri) -> Result<(), ProtocolError> {
    participant(list, user, "only participants commit")
}

/// Whether `user` may send a proposal of this type (R43, R45): whoever is no participant any more
/// may still take its leaves out.
///
/// # Errors
/// [`ProtocolError::NotAllowed`] for anybody but a participant, other than with Remove or SelfRemove.
pub fn authorize_proposal(
    list: &ParticipantList,
    user: &UserUri,
    proposal_type: ProposalType,
) -> Result<(), ProtocolError> {
    match proposal_type {
        ProposalType::Remove | ProposalType::SelfRemove => Ok(()),
        _ => participant(list, user, "only participants propose this"),
    }
}

/// Whether `user` may propose to remove a leaf of the user `removed` (R43, R45): whoever is no
/// participant any more may take out its own.
///
/// # Errors
/// [`ProtocolError::NotAllowed`] for anybody but a participant, other than with a leaf of its own.
pub fn authorize_removal(
    list: &ParticipantList,
    user: &UserUri,
    removed: Option<&UserUri>,
) -> Result<(), ProtocolError> {
    if removed == Some(user) {
        return authorize_proposal(list, user, ProposalType::Remove);
    }
    participant(list, user, "only participants propose to remove others")
}

/// Whether `user` may send an application message, or get one (R45).
///
/// # Errors
/// [`ProtocolError::NotAllowed`] for anybody but a participant.
pub fn authorize_application_message(
    list: &ParticipantList,
    user: &UserUri,
) -> Result<(), ProtocolError> {
    participant(list, user, "only participants send")
}

/// Whether a leaf of `user` may enter by a commit after which the list is `list_after`: by an Add or
/// by an external commit (R9, R40).
///
/// # Errors
/// [`ProtocolError::NotAllowed`] when the user does not take part after the commit.
pub fn authorize_entry(list_after: &ParticipantList, user: &UserUri) -> Result<(), ProtocolError> {
    participant(list_after, user, "a client enters whose user does not take part")
}

fn participant(list: &ParticipantList, user: &UserUri, reason: &str) -> Result<(), ProtocolError> {
    if list.is_participant(user) {
        return Ok(());
    }
    Err(ProtocolError::NotAllowed(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{AppSync, Role, UserRoles};

    fn user(name: &str) -> UserUri {
        UserUri::parse(&format!("{name}@alpha.example")).unwrap()
    }

    /// Alice takes part, bob is banned, nobody else is there.
    fn list() -> ParticipantList {
        let ban = AppSync {
            add_users: vec![UserRoles { user: user("bob").to_wire(), roles: vec![Role::Banned] }],
            ..AppSync::default()
        };
        ParticipantList::of_creator(user("alice")).apply(&[ban]).unwrap()
    }

    fn refused(result: Result<(), ProtocolError>) -> bool {
        matches!(result, Err(ProtocolError::NotAllowed(_)))
    }

    #[test]
    fn r43_every_participant_may_do_everything() {
        let alice = user("alice");
        authorize_commit(&list(), &alice).unwrap();
        authorize_application_message(&list(), &alice).unwrap();
        for proposal_type in [ProposalType::AppDataUpdate, ProposalType::Add, ProposalType::Remove]
        {
            authorize_proposal(&list(), &alice, proposal_type).unwrap();
        }
    }

    #[test]
    fn r45_a_banned_or_removed_user_may_only_leave() {
        for name in ["bob", "eve"] {
            let user = user(name);
            assert!(refused(authorize_commit(&list(), &user)));
            assert!(refused(authorize_application_message(&list(), &user)));
            for proposal_type in
                [ProposalType::AppDataUpdate, ProposalType::Add, ProposalType::Update]
            {
                assert!(refused(authorize_proposal(&list(), &user, proposal_type)));
            }
            authorize_proposal(&list(), &user, ProposalType::Remove).unwrap();
            authorize_proposal(&list(), &user, ProposalType::SelfRemove).unwrap();
        }
    }

    #[test]
    fn r40_a_leaf_enters_only_for_a_participant() {
        authorize_entry(&list(), &user("alice")).unwrap();
        assert!(refused(authorize_entry(&list(), &user("bob"))));
        assert!(refused(authorize_entry(&list(), &user("cathy"))));
    }

    #[test]
    fn r9_outsiders_are_the_clients_of_nobody_on_the_list_and_of_the_banned() {
        let clients: Vec<_> =
            ["alice", "bob", "eve"].iter().map(|name| user(name).client("a").unwrap()).collect();
        let outsiders = list().outsiders(&clients).into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(outsiders, clients[1..]);
    }
}
