//! The proposals that wait for a commit (R53, R54): as they were signed, in order of acceptance.

use std::collections::BTreeSet;

use openmls::{
    ciphersuite::hash_ref::ProposalRef,
    group::{PublicGroup, QueuedProposal},
};

use super::table;
use crate::{
    error::{InternalError, Result},
    mls::{HubGroupStore, proposals::removed_leaf},
    storage::{Key, Transaction},
};

/// How many proposals may wait (D18).
pub(super) const MAX_PROPOSALS: usize = 256;
/// How long one of them may be, in bytes (D18).
pub(super) const MAX_PROPOSAL_BYTES: usize = 64 << 10;
/// How long all of them together may be, in bytes (D18): a refusal for the lack of them carries all.
pub(super) const MAX_QUEUE_BYTES: usize = 1 << 20;

/// A proposal that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// The `PublicMessage`.
    pub(super) message: Vec<u8>,
    /// What openmls keeps of it.
    pub(super) queued: QueuedProposal,
}

impl Pending {
    fn reference(&self) -> &[u8] {
        self.queued.proposal_reference_ref().as_slice()
    }
}

/// The proposals of the current epoch.
#[derive(Debug, Default)]
pub(super) struct Queue(Vec<Pending>);

impl Queue {
    /// The queue as it was stored beside the group.
    ///
    /// # Errors
    /// [`InternalError::Storage`] when the storage holds what we did not write.
    pub(super) fn load(
        group: &PublicGroup,
        store: &HubGroupStore,
        transaction: &Transaction<'_>,
    ) -> Result<Self, InternalError> {
        let prefix = [table::PROPOSALS];
        let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
        let queued = group.queued_proposals(store)?;
        if rows.len() != queued.len() {
            return Err(InternalError::Storage("the pending proposals are not whole"));
        }
        let pending = rows.into_iter().zip(queued);
        Ok(Self(pending.map(|((_, message), (_, queued))| Pending { message, queued }).collect()))
    }

    /// Puts a proposal at the end, here and in the group.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn push(
        &mut self,
        pending: Pending,
        group: &mut PublicGroup,
        store: &HubGroupStore,
        transaction: &mut Transaction<'_>,
    ) -> Result<(), InternalError> {
        transaction.write(Self::key(self.0.len() as u64), pending.message.clone());
        group.add_proposal(store, pending.queued.clone())?;
        self.0.push(pending);
        Ok(())
    }

    /// Takes these proposals out again, here and in the group: nothing has to cover them any more.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn remove(
        &mut self,
        references: &[ProposalRef],
        group: &mut PublicGroup,
        store: &HubGroupStore,
        transaction: &mut Transaction<'_>,
    ) -> Result<(), InternalError> {
        for number in 0..self.0.len() as u64 {
            transaction.delete(Self::key(number));
        }
        self.0.retain(|pending| !references.contains(pending.queued.proposal_reference_ref()));
        for reference in references {
            group.remove_proposal(store, reference)?;
        }
        for (number, pending) in (0..).zip(&self.0) {
            transaction.write(Self::key(number), pending.message.clone());
        }
        Ok(())
    }

    fn key(number: u64) -> Vec<u8> {
        Key::table(table::PROPOSALS).number(number).build()
    }

    /// Empties the queue: its epoch has ended. The group has emptied its own.
    pub(super) fn clear(&mut self, transaction: &mut Transaction<'_>) {
        for number in 0..self.0.len() as u64 {
            transaction.delete(Self::key(number));
        }
        self.0.clear();
    }

    /// The proposals in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> + Clone {
        self.0.iter()
    }

    /// How long they are together, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|pending| pending.message.len()).sum()
    }

    /// The proposals in order, as openmls keeps them.
    pub(super) fn queued(&self) -> impl Iterator<Item = &QueuedProposal> + Clone {
        self.0.iter().map(|pending| &pending.queued)
    }

    /// The leaves that go with the next commit.
    pub(super) fn removed_leaves(&self) -> BTreeSet<u32> {
        self.queued().filter_map(removed_leaf).collect()
    }

    /// Whether all these references are to proposals that wait.
    pub(super) fn knows(&self, references: &BTreeSet<&[u8]>) -> bool {
        let waiting: BTreeSet<&[u8]> = self.0.iter().map(Pending::reference).collect();
        references.is_subset(&waiting)
    }

    /// Whether a commit of these references covers all that `is_due` says it has to.
    pub(super) fn is_covered(
        &self,
        references: &BTreeSet<&[u8]>,
        is_due: fn(&Pending) -> bool,
    ) -> bool {
        self.0
            .iter()
            .filter(|pending| is_due(pending))
            .all(|due| references.contains(due.reference()))
    }
}
