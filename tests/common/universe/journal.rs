//! Who was in a room in each of its epochs, as its hub had it stored: what the clients are measured
//! by.

use std::collections::{BTreeMap, BTreeSet};

use mimi_edge::{
    mls::{HubGroupStore, commit::leaves},
    room::app_sync::participant_list,
    storage::Transaction,
    wire::uri::{ClientUri, RoomUri, UserUri},
};
use openmls::group::{GroupId, PublicGroup};

use crate::common::storage::SharedStorage;

/// The table in which a `HubRoom` keeps its group.
const GROUP: u8 = 3;

/// A room in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// The clients with a leaf.
    pub leaves: BTreeSet<ClientUri>,
    /// Those of them whose user takes part.
    pub active: BTreeSet<ClientUri>,
    /// The list's users in its order, the banned too.
    pub listed: Vec<UserUri>,
    /// The banned.
    pub banned: Vec<UserUri>,
}

impl Epoch {
    /// The users who take part, in the list's order.
    pub fn participants(&self) -> impl Iterator<Item = &UserUri> {
        self.listed.iter().filter(|user| !self.banned.contains(user))
    }
}

/// The epochs of all rooms.
#[derive(Debug, Default)]
pub struct Journal {
    epochs: BTreeMap<RoomUri, BTreeMap<u64, Epoch>>,
    /// What of the group's storage was looked at last.
    seen: BTreeMap<RoomUri, Vec<u8>>,
    closed: BTreeSet<RoomUri>,
}

impl Journal {
    /// The epochs of a room, as far as the hub ever stored them.
    pub fn epochs(&self, room: &RoomUri) -> BTreeMap<u64, Epoch> {
        self.epochs.get(room).cloned().unwrap_or_default()
    }

    /// Whether the hub closed the room: nobody was left who could commit (R57).
    pub fn is_closed(&self, room: &RoomUri) -> bool {
        self.closed.contains(room)
    }

    /// Looks at a hub's room after it was called.
    pub fn look(&mut self, room: &RoomUri, storage: &SharedStorage) {
        let transaction = Transaction::new(storage);
        let rows = transaction.scan(&[GROUP], &[GROUP], usize::MAX).unwrap();
        // Version and checksum: another state has another one.
        let Some(mark) = rows.first().map(|(_, row)| row[..33].to_vec()) else {
            if self.epochs.contains_key(room) {
                self.closed.insert(room.clone());
            }
            return;
        };
        if self.seen.insert(room.clone(), mark.clone()) == Some(mark) {
            return;
        }
        let store = HubGroupStore::load(&transaction, GROUP).unwrap().unwrap();
        let group_id = GroupId::from_slice(room.as_str().as_bytes());
        let group = PublicGroup::load(&store, &group_id).unwrap().unwrap();
        let list = participant_list(group.group_context().extensions()).unwrap();
        let leaves: BTreeSet<ClientUri> =
            leaves(&group).unwrap().into_iter().map(|(_, client)| client).collect();
        let active = leaves.iter().filter(|client| list.is_participant(&client.user()));
        let listed: Vec<UserUri> = list.iter().map(|(user, _)| user.clone()).collect();
        let epoch = Epoch {
            active: active.cloned().collect(),
            banned: listed.iter().filter(|user| !list.is_participant(user)).cloned().collect(),
            leaves,
            listed,
        };
        let number = group.group_context().epoch().as_u64();
        self.epochs.entry(room.clone()).or_default().insert(number, epoch);
    }
}
