//! The group of one room, as one device has it.
//!
//! A call that fails changes nothing. What changed is in [`Group::take_writes`], to be persisted
//! before anything is sent. The epoch ends only when somebody says so: [`Group::accept`] for a commit
//! of this device, [`Group::accept_received`] for another's.

use openmls::{group::MlsGroup, messages::Welcome, prelude::WireFormat};
use openmls_traits::OpenMlsProvider;
use serde::{Deserialize, Serialize};

use super::{Identity, KeyPackageStore, rows::Rows};
use crate::{
    error::{Error, InternalError, ProtocolError, Result, UsageError},
    mls::{
        self, MlsCrypto, MlsProvider,
        commit::RoomCommit,
        credential::client_uri_of,
        entry::{self, ExternalJoin, group_id},
        ratchet_tree, upload,
    },
    room::{ParticipantList, Profile, app_sync},
    storage::{Key, Row, Transaction, Write},
    time::UnixMillis,
    wire::{
        self, RatchetTree, RatchetTreeOption, UpdateContent, UpdateRequest,
        uri::{ClientUri, RoomUri},
    },
};

/// The version of the rows.
const VERSION: u8 = 1;
const ROOM: u8 = b'r';
const PENDING: u8 = b'p';

/// How a group is created.
#[derive(Debug)]
pub struct Creation {
    /// How the room carries its list.
    pub profile: Profile,
    /// The hub's RFC 9420 `ExternalSender`, by which it may send proposals (A29).
    pub hub: Option<Vec<u8>>,
    /// The time, from which the creator's leaf is valid.
    pub now: UnixMillis,
}

/// A leaf of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its index.
    pub index: u32,
    /// Its client.
    pub client: ClientUri,
    /// The key that it signs with.
    pub signature_key: Vec<u8>,
}

/// What of this device waits to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PendingKind {
    /// A commit.
    Commit,
    /// The external commit by which this device joins.
    Join,
}

/// A commit of this device that nobody has accepted or rejected yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What it is.
    pub kind: PendingKind,
    /// The epoch that it ends.
    pub epoch: u64,
    /// The body of `POST update`: an `UpdateRequest`.
    pub update: Vec<u8>,
    /// The commit alone: an `MLSMessage`.
    pub commit: Vec<u8>,
    /// For those whom it adds: an `MLSMessage`.
    pub welcome: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct RoomRow {
    version: u8,
    uri: RoomUri,
}

/// One group.
pub struct Group {
    pub(super) crypto: MlsCrypto,
    rows: Rows,
    room: RoomUri,
    /// The group as the rows have it; it is loaded anew after a call that failed.
    loaded: Option<MlsGroup>,
    pub(super) pending: Option<Pending>,
    /// A commit that was received, until it is accepted or rejected.
    pub(super) received: Option<RoomCommit>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("room", &self.room).finish_non_exhaustive()
    }
}

impl Group {
    /// Creates the group of a new room; the creator's user is owner, admin and regular user (R15).
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when `hub` is no `ExternalSender`.
    pub fn create(identity: &Identity, room: RoomUri, creation: Creation) -> Result<Self> {
        let Creation { profile, hub, now } = creation;
        let hub = hub
            .map(|hub| wire::decode_exact(&hub))
            .transpose()
            .map_err(|_| UsageError::BadArgument("not an ExternalSender"))?;
        let mut group = Self::empty(room, Rows::default());
        let made = (identity.suite()?, profile);
        group.enter(|transaction, crypto, room| {
            let provider = MlsProvider::new(transaction, crypto);
            Ok(entry::create(&provider, identity.entrant(), room, made, hub, now)?)
        })?;
        Ok(group)
    }

    /// Joins by a Welcome, bare or as an `MLSMessage`, with the tree of the same epoch (encoded, length
    /// prefix included). What it changes in `keys` has to be persisted together with the group.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidProposal`] when none of the KeyPackages opens it, or the group is none
    /// that a room can have.
    pub fn join(
        identity: &Identity,
        keys: &mut KeyPackageStore,
        welcome: &[u8],
        tree: &[u8],
    ) -> Result<Self> {
        let welcome = bare(welcome, WireFormat::Welcome);
        let welcome: Welcome = wire::decode_exact(welcome)?;
        let nodes = RatchetTree::from_encoded(tree)?.nodes()?;
        let references: Vec<_> =
            welcome.secrets().iter().map(|it| it.new_member().as_slice().to_vec()).collect();
        let crypto = MlsCrypto::new();
        let mut transaction = keys.transaction();
        let provider = MlsProvider::new(&mut transaction, &crypto);
        let joined = entry::join(&provider, identity.client(), None, welcome, nodes)?;
        let room = room_of(&joined)?;
        let changes = transaction.into_changes();
        let mut group = Self::empty(room, Rows::default());
        let row = group.room_row()?;
        let writes = keys.take_own(changes, &references)?;
        group.rows.apply([writes, vec![row]].concat())?;
        Ok(Self { crypto, loaded: Some(joined), ..group })
    }

    /// Joins by an external commit over the room's GroupInfo (bare) and tree. The commit is pending: until
    /// it is accepted, nothing else can be done with the group; rejected, it is gone.
    ///
    /// # Errors
    /// [`ProtocolError::NotAllowed`] when the user is not on the list,
    /// [`ProtocolError::InvalidProposal`] when GroupInfo and tree cannot be joined by.
    pub fn join_externally(identity: &Identity, group_info: &[u8], tree: &[u8]) -> Result<Self> {
        let from = ExternalJoin {
            group_info: wire::decode_exact(bare(group_info, WireFormat::GroupInfo))?,
            nodes: RatchetTree::from_encoded(tree)?.nodes()?,
            self_removes: Vec::new(),
        };
        let context = from.group_info.group_context();
        let epoch = context.epoch().as_u64();
        let room = room_named(context.group_id().as_slice())?;
        let mut group = Self::empty(room, Rows::default());
        let mut made = None;
        group.enter(|transaction, crypto, _| {
            let provider = MlsProvider::new(transaction, crypto);
            let (joined, bundle) =
                entry::join_externally(&provider, identity.entrant(), None, from)?;
            let tree = ratchet_tree::to_wire(&joined.export_ratchet_tree())?;
            let (request, commit) = upload::commit(bundle, RatchetTreeOption::Full(tree))?;
            let pending = pending(PendingKind::Join, epoch, &request, commit)?;
            transaction.store(pending_key(), &pending)?;
            made = Some(pending);
            Ok(joined)
        })?;
        group.pending = made;
        Ok(group)
    }

    /// The group that these rows are of.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when they are none of a group, [`UsageError::StorageNewer`] when they
    /// are of a newer version.
    pub fn load(rows: Vec<Row>) -> Result<Self> {
        let rows = Rows::new(rows);
        let transaction = rows.transaction();
        let row: Option<RoomRow> = transaction.load(&room_key())?;
        let RoomRow { version, uri } =
            row.ok_or(UsageError::BadArgument("the rows are no group's"))?;
        if version > VERSION {
            return Err(UsageError::StorageNewer.into());
        }
        let pending = transaction.load(&pending_key())?;
        Ok(Self { pending, ..Self::empty(uri, rows) })
    }

    fn empty(room: RoomUri, rows: Rows) -> Self {
        Self { crypto: MlsCrypto::new(), rows, room, loaded: None, pending: None, received: None }
    }

    /// Puts the first state of the group into its rows.
    fn enter(
        &mut self,
        make: impl FnOnce(&mut Transaction<'_>, &MlsCrypto, &RoomUri) -> Result<MlsGroup>,
    ) -> Result<()> {
        let row = self.room_row()?;
        let mut transaction = self.rows.transaction();
        let group = make(&mut transaction, &self.crypto, &self.room)?;
        let mut changes = transaction.into_changes();
        changes.push(row);
        self.rows.apply(changes)?;
        self.loaded = Some(group);
        Ok(())
    }

    fn room_row(&self) -> Result<Write, InternalError> {
        let row = RoomRow { version: VERSION, uri: self.room.clone() };
        Ok(Write { key: room_key(), value: Some(crate::storage::encode_row(&row)?) })
    }

    /// One call: what it changes is kept if it ends well.
    pub(super) fn step<T>(
        &mut self,
        act: impl FnOnce(&mut MlsGroup, &mut Transaction<'_>, &MlsCrypto) -> Result<T>,
    ) -> Result<T> {
        let mut group = match self.loaded.take() {
            Some(group) => group,
            None => self.load_group()?,
        };
        let mut transaction = self.rows.transaction();
        let result = act(&mut group, &mut transaction, &self.crypto)?;
        let changes = transaction.into_changes();
        self.rows.apply(changes)?;
        self.loaded = Some(group);
        Ok(result)
    }

    fn load_group(&self) -> Result<MlsGroup> {
        let mut transaction = self.rows.transaction();
        let provider = MlsProvider::new(&mut transaction, &self.crypto);
        let group = MlsGroup::load(provider.storage(), &group_id(&self.room))?;
        Ok(group.ok_or(UsageError::BadState("the group is gone"))?)
    }

    /// The group, to look at.
    fn look(&mut self) -> Result<&MlsGroup> {
        let group = match self.loaded.take() {
            Some(group) => group,
            None => self.load_group()?,
        };
        Ok(self.loaded.insert(group))
    }

    /// The room.
    #[must_use]
    pub const fn room(&self) -> &RoomUri {
        &self.room
    }

    /// The epoch.
    ///
    /// # Errors
    /// [`UsageError::BadState`] when the group is gone: its join was rejected.
    pub fn epoch(&mut self) -> Result<u64> {
        Ok(self.look()?.epoch().as_u64())
    }

    /// RFC 9420's epoch authenticator: the same for all members of the epoch, and for nobody else.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn authenticator(&mut self) -> Result<Vec<u8>> {
        Ok(self.look()?.epoch_authenticator().as_slice().to_vec())
    }

    /// Whether this device is a member: not any more after a commit that removes it.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn is_active(&mut self) -> Result<bool> {
        Ok(self.look()?.is_active())
    }

    /// How the room carries its list.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn profile(&mut self) -> Result<Profile> {
        Ok(Profile::of(self.look()?.extensions())?)
    }

    /// The participant list.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn participants(&mut self) -> Result<ParticipantList> {
        Ok(app_sync::participant_list(self.look()?.extensions())?)
    }

    /// The leaves, by index.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn members(&mut self) -> Result<Vec<Member>> {
        self.look()?.members().map(|leaf| member(&leaf)).collect()
    }

    /// The index of this device's leaf.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn own_index(&mut self) -> Result<u32> {
        Ok(self.look()?.own_leaf_index().u32())
    }

    /// The current GroupInfo (bare), with `external_pub`, without the tree.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn group_info(&mut self, identity: &Identity) -> Result<Vec<u8>> {
        self.settled(PendingKind::Join)?;
        self.step(|group, _, crypto| {
            let info = group
                .export_group_info(crypto.algorithms(), identity.key_pair(), false)
                .map_err(|_| InternalError::Mls("GroupInfo"))?;
            Ok(mls::without_header(&info, WireFormat::GroupInfo)?)
        })
    }

    /// The current tree, encoded, length prefix included.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn tree(&mut self) -> Result<Vec<u8>> {
        Ok(wire::encode(&self.look()?.export_ratchet_tree())?)
    }

    /// RFC 9420's MLS-Exporter: `length` bytes that only the members of this epoch know.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when the length is more than the suite's KDF gives.
    pub fn export_secret(&mut self, label: &str, context: &[u8], length: usize) -> Result<Vec<u8>> {
        self.settled(PendingKind::Join)?;
        self.step(|group, _, crypto| {
            let secret = group.export_secret(crypto.algorithms(), label, context, length);
            Ok(secret.map_err(|_| UsageError::BadArgument("the secret cannot be exported"))?)
        })
    }

    /// Encrypts application content as an `MLSMessage`, padded to a multiple of 64 bytes. `aad` is not
    /// encrypted, but authentic.
    ///
    /// # Errors
    /// [`UsageError::BadState`] while proposals wait, which have to be committed first (RFC 9420 §12.4),
    /// and when this device is no member.
    pub fn encrypt(&mut self, identity: &Identity, content: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        self.settled(PendingKind::Join)?;
        self.step(|group, transaction, crypto| {
            if !group.is_active() {
                return Err(UsageError::BadState("this device is not in the group").into());
            }
            if group.has_pending_proposals() {
                return Err(UsageError::BadState("proposals wait for a commit").into());
            }
            group.set_aad(aad.to_vec());
            let message = group
                .create_message(
                    &MlsProvider::new(transaction, crypto),
                    identity.key_pair(),
                    content,
                )
                .map_err(|_| InternalError::Mls("a message cannot be encrypted"))?;
            Ok(wire::encode(&message)?)
        })
    }

    /// The commit of this device that waits, if one does.
    #[must_use]
    pub const fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// The hub took the pending commit: this device is in the epoch after it.
    ///
    /// # Errors
    /// [`UsageError::BadState`] when no commit is pending.
    pub fn accept(&mut self) -> Result<()> {
        let kind = self.pending.as_ref().map(|pending| pending.kind);
        let kind = kind.ok_or(UsageError::BadState("no commit is pending"))?;
        self.step(|group, transaction, crypto| {
            transaction.delete(pending_key());
            match kind {
                PendingKind::Join => Ok(()),
                PendingKind::Commit => Ok(group
                    .merge_pending_commit(&MlsProvider::new(transaction, crypto))
                    .map_err(|_| InternalError::Mls("the own commit"))?),
            }
        })?;
        self.pending = None;
        self.received = None;
        Ok(())
    }

    /// The hub did not take the pending commit: the group is as it was before it; gone, if it was the
    /// commit to join by. Nothing happens when no commit is pending.
    ///
    /// # Errors
    /// [`InternalError`] when the rows are broken.
    pub fn reject(&mut self) -> Result<()> {
        match self.pending.as_ref().map(|pending| pending.kind) {
            None => return Ok(()),
            Some(PendingKind::Join) => {
                self.rows.clear()?;
                self.loaded = None;
            }
            Some(PendingKind::Commit) => self.step(|group, transaction, crypto| {
                transaction.delete(pending_key());
                let provider = MlsProvider::new(transaction, crypto);
                Ok(group.clear_pending_commit(provider.storage())?)
            })?,
        }
        self.pending = None;
        Ok(())
    }

    /// Refuses what cannot be done while something of this kind is pending.
    pub(super) fn settled(&self, kind: PendingKind) -> Result<(), UsageError> {
        match &self.pending {
            Some(pending) if pending.kind == PendingKind::Join => {
                Err(UsageError::BadState("the join is not accepted yet"))
            }
            Some(pending) if pending.kind == kind => {
                Err(UsageError::BadState("a commit is pending"))
            }
            _ => Ok(()),
        }
    }

    /// What changed since the last time: to be persisted at once, and before anything is sent.
    pub fn take_writes(&mut self) -> Vec<Write> {
        self.rows.take_changes()
    }
}

fn room_key() -> Vec<u8> {
    Key::table(ROOM).build()
}

pub(super) fn pending_key() -> Vec<u8> {
    Key::table(PENDING).build()
}

/// R8: the room whose group has this id.
fn room_named(group_id: &[u8]) -> Result<RoomUri, ProtocolError> {
    const NO_ROOM: ProtocolError = ProtocolError::InvalidProposal("the group is no room's");
    let text = std::str::from_utf8(group_id).map_err(|_| NO_ROOM)?;
    RoomUri::parse(text).map_err(|_| NO_ROOM)
}

fn room_of(group: &MlsGroup) -> Result<RoomUri, ProtocolError> {
    room_named(group.group_id().as_slice())
}

pub(super) fn member(leaf: &openmls::group::Member) -> Result<Member, Error> {
    Ok(Member {
        index: leaf.index.u32(),
        client: client_uri_of(&leaf.credential)?,
        signature_key: leaf.signature_key.clone(),
    })
}

/// A commit of this device with what belongs to it.
pub(super) fn pending(
    kind: PendingKind,
    epoch: u64,
    request: &UpdateRequest,
    commit: Vec<u8>,
) -> Result<Pending, InternalError> {
    let welcome = match &request.content {
        UpdateContent::Commit(bundle) => bundle.welcome.as_ref(),
        UpdateContent::Proposal(_) => None,
    };
    let welcome = welcome.map(|welcome| mls::with_header(welcome.bytes(), WireFormat::Welcome));
    Ok(Pending { kind, epoch, update: wire::encode(request)?, commit, welcome })
}

/// A bare MLS struct, whether or not it came with the header of an MLSMessage: no bare one begins like
/// that.
fn bare(bytes: &[u8], wire_format: WireFormat) -> &[u8] {
    let header = mls::with_header(&[], wire_format);
    bytes.strip_prefix(header.as_slice()).unwrap_or(bytes)
}
