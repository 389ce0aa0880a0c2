//! A hub's group in its storage: one checksummed snapshot per commit.
//!
//! openmls writes a whole tree at each merge. Here that is one postcard value with the rest of the
//! public state, compressed; corrupt state would load silently or trap, so it carries a version and a
//! checksum.

use std::cell::{Cell, RefCell};

use openmls_traits::{
    public_storage::PublicStorageProvider,
    storage::{CURRENT_VERSION as VERSION, traits},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    error::InternalError,
    storage::{Key, Transaction, decode_row, encode_row},
};

/// The version of the snapshot's format; others are refused.
const FORMAT: u8 = 3;
const CHECKSUM_BYTES: usize = 32;
/// Largest row: a Durable Object's storage refuses values above 2 MB.
const CHUNK_BYTES: usize = 1 << 20;
/// Key parts under the owner's table.
const GROUP: u64 = 0;
const PROPOSALS: u64 = 1;

type Result<T> = core::result::Result<T, InternalError>;

/// The public state of one group as openmls stores and loads it, held in memory between
/// [`HubGroupStore::load`] and [`HubGroupStore::save`].
///
/// It holds one group, so keys of groups are not looked at.
#[derive(Debug, Default)]
pub struct HubGroupStore {
    group: RefCell<GroupRows>,
    proposals: RefCell<ProposalRows>,
    group_changed: Cell<bool>,
    proposals_changed: Cell<bool>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct GroupRows {
    tree: Option<Vec<u8>>,
    context: Option<Vec<u8>>,
    interim_transcript_hash: Option<Vec<u8>>,
    confirmation_tag: Option<Vec<u8>>,
    group_info: Option<Vec<u8>>,
}

/// Reference and proposal, in the order of arrival; no reference twice.
type ProposalRows = Vec<(Vec<u8>, Vec<u8>)>;

impl HubGroupStore {
    /// A store without a group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The store that was saved under `table`; `None` when none was.
    ///
    /// # Errors
    /// [`InternalError::Storage`] when the rows are not what [`Self::save`] wrote.
    pub fn load(transaction: &Transaction<'_>, table: u8) -> Result<Option<Self>> {
        let Some(group) = read_chunks(transaction, table, GROUP)? else { return Ok(None) };
        let proposals = match read_chunks(transaction, table, PROPOSALS)? {
            Some(bytes) => open(&bytes)?,
            None => ProposalRows::new(),
        };
        let group = RefCell::new(open(&group)?);
        Ok(Some(Self { group, proposals: RefCell::new(proposals), ..Self::default() }))
    }

    /// Writes what has changed since the last save under `table`, which holds nothing else.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn save(&self, transaction: &mut Transaction<'_>, table: u8) -> Result<()> {
        if self.group_changed.replace(false) {
            write_chunks(transaction, table, GROUP, &seal(&*self.group.borrow())?)?;
        }
        if self.proposals_changed.replace(false) {
            write_chunks(transaction, table, PROPOSALS, &seal(&*self.proposals.borrow())?)?;
        }
        Ok(())
    }

    /// Sets the GroupInfo of the group's epoch, as its committer signed it (R89).
    pub fn set_group_info(&self, group_info: Vec<u8>) {
        self.set(|rows| &mut rows.group_info, Some(group_info));
    }

    /// The GroupInfo of the group's epoch.
    #[must_use]
    pub fn group_info(&self) -> Option<Vec<u8>> {
        self.group.borrow().group_info.clone()
    }

    fn set(&self, field: fn(&mut GroupRows) -> &mut Option<Vec<u8>>, value: Option<Vec<u8>>) {
        *field(&mut self.group.borrow_mut()) = value;
        self.group_changed.set(true);
    }

    fn value<T: DeserializeOwned>(
        &self,
        field: fn(&mut GroupRows) -> &mut Option<Vec<u8>>,
    ) -> Result<Option<T>> {
        field(&mut self.group.borrow_mut()).as_deref().map(decode_row).transpose()
    }
}

/// Version, checksum, compressed value.
fn seal(value: &impl Serialize) -> Result<Vec<u8>> {
    let value = lz4_flex::compress_prepend_size(&encode_row(value)?);
    Ok([&[FORMAT], Sha256::digest(&value).as_slice(), &value].concat())
}

fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let (checksum, value) = bytes
        .strip_prefix(&[FORMAT])
        .and_then(|bytes| bytes.split_at_checked(CHECKSUM_BYTES))
        .ok_or(InternalError::Storage("a snapshot of another format"))?;
    if Sha256::digest(value).as_slice() != checksum {
        return Err(InternalError::Storage("a snapshot is damaged"));
    }
    let value = lz4_flex::decompress_size_prepended(value)
        .map_err(|_| InternalError::Storage("a snapshot does not decompress"))?;
    decode_row(&value)
}

fn chunk_prefix(table: u8, part: u64) -> Vec<u8> {
    Key::table(table).number(part).build()
}

fn read_chunks(transaction: &Transaction<'_>, table: u8, part: u64) -> Result<Option<Vec<u8>>> {
    let prefix = chunk_prefix(table, part);
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(rows.into_iter().flat_map(|(_, chunk)| chunk).collect()))
}

fn write_chunks(
    transaction: &mut Transaction<'_>,
    table: u8,
    part: u64,
    bytes: &[u8],
) -> Result<()> {
    let prefix = chunk_prefix(table, part);
    for (key, _) in transaction.scan(&prefix, &prefix, usize::MAX)? {
        transaction.delete(key);
    }
    for (number, chunk) in (0..).zip(bytes.chunks(CHUNK_BYTES)) {
        transaction.write(Key::table(table).number(part).number(number).build(), chunk.to_vec());
    }
    Ok(())
}

/// A value of the group: write, read, delete.
macro_rules! of_group {
    ($field:ident, $entity:ident, $write:ident, $read:ident, $delete:ident) => {
        fn $write<G: traits::GroupId<VERSION>, E: traits::$entity<VERSION>>(
            &self,
            _: &G,
            value: &E,
        ) -> Result<()> {
            self.set(|rows| &mut rows.$field, Some(encode_row(value)?));
            Ok(())
        }

        fn $read<G: traits::GroupId<VERSION>, E: traits::$entity<VERSION>>(
            &self,
            _: &G,
        ) -> Result<Option<E>> {
            self.value(|rows| &mut rows.$field)
        }

        fn $delete<G: traits::GroupId<VERSION>>(&self, _: &G) -> Result<()> {
            self.set(|rows| &mut rows.$field, None);
            Ok(())
        }
    };
}

impl PublicStorageProvider<VERSION> for HubGroupStore {
    type PublicError = InternalError;

    of_group!(tree, TreeSync, write_tree, tree, delete_tree);
    of_group!(context, GroupContext, write_context, group_context, delete_context);
    of_group!(
        interim_transcript_hash,
        InterimTranscriptHash,
        write_interim_transcript_hash,
        interim_transcript_hash,
        delete_interim_transcript_hash
    );
    of_group!(
        confirmation_tag,
        ConfirmationTag,
        write_confirmation_tag,
        confirmation_tag,
        delete_confirmation_tag
    );

    fn queue_proposal<
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
        E: traits::QueuedProposal<VERSION>,
    >(
        &self,
        _: &G,
        reference: &R,
        proposal: &E,
    ) -> Result<()> {
        let (reference, proposal) = (encode_row(reference)?, encode_row(proposal)?);
        let mut proposals = self.proposals.borrow_mut();
        match proposals.iter_mut().find(|(other, _)| *other == reference) {
            Some((_, queued)) => *queued = proposal,
            None => proposals.push((reference, proposal)),
        }
        self.proposals_changed.set(true);
        Ok(())
    }

    fn queued_proposals<
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
        E: traits::QueuedProposal<VERSION>,
    >(
        &self,
        _: &G,
    ) -> Result<Vec<(R, E)>> {
        let proposals = self.proposals.borrow();
        let decode = |(reference, proposal): &(Vec<u8>, Vec<u8>)| {
            Ok((decode_row(reference)?, decode_row(proposal)?))
        };
        proposals.iter().map(decode).collect()
    }

    fn remove_proposal<G: traits::GroupId<VERSION>, R: traits::ProposalRef<VERSION>>(
        &self,
        _: &G,
        reference: &R,
    ) -> Result<()> {
        let reference = encode_row(reference)?;
        self.proposals.borrow_mut().retain(|(other, _)| *other != reference);
        self.proposals_changed.set(true);
        Ok(())
    }

    fn clear_proposal_queue<G: traits::GroupId<VERSION>, R: traits::ProposalRef<VERSION>>(
        &self,
        _: &G,
    ) -> Result<()> {
        let mut proposals = self.proposals.borrow_mut();
        if !proposals.is_empty() {
            proposals.clear();
            self.proposals_changed.set(true);
        }
        Ok(())
    }
}
