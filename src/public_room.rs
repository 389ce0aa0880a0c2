//! openmls' public group alone, for the benchmark of the hub (wasm32 and feature `testing` only; no
//! package has it): what a hub's checks cost at the least.

use openmls::{
    group::{ProposalStore, PublicGroup},
    messages::group_info::VerifiableGroupInfo,
};
use wasm_bindgen::prelude::*;

use crate::{
    mls::{
        HubGroupStore, MlsCrypto,
        commit::{stage_at_hub, verify_at_hub},
    },
    wire::{RatchetTreeOption, RoomCreation, UpdateRequest, decode_exact},
};

fn failed(error: impl core::fmt::Debug) -> JsError {
    JsError::new(&format!("{error:?}"))
}

/// The group of a room, in memory.
#[wasm_bindgen]
pub struct PublicRoom {
    crypto: MlsCrypto,
    store: HubGroupStore,
    group: PublicGroup,
}

#[wasm_bindgen]
impl PublicRoom {
    /// The room that this body of `POST rooms/{room}` creates.
    ///
    /// # Errors
    /// When it creates none.
    #[wasm_bindgen(constructor)]
    pub fn new(creation: &[u8]) -> Result<PublicRoom, JsError> {
        let creation: RoomCreation = decode_exact(creation).map_err(failed)?;
        let RatchetTreeOption::Full(tree) = creation.ratchet_tree_option else {
            return Err(JsError::new("a room without a tree"));
        };
        let group_info: VerifiableGroupInfo = creation.group_info.into_value();
        let (crypto, store) = (MlsCrypto::new(), HubGroupStore::new());
        let (group, _) = PublicGroup::from_external(
            crypto.algorithms(),
            &store,
            tree.nodes().map_err(failed)?,
            group_info,
            ProposalStore::new(),
        )
        .map_err(failed)?;
        Ok(Self { crypto, store, group })
    }

    /// Processes and merges the commit in this body of `POST update/{room}`.
    ///
    /// # Errors
    /// When the group does not take it.
    pub fn update(&mut self, body: &[u8]) -> Result<(), JsError> {
        let update: UpdateRequest = decode_exact(body).map_err(failed)?;
        let algorithms = self.crypto.algorithms();
        let message = update.proposal_or_commit.into_value();
        let message = verify_at_hub(&self.group, algorithms, message).map_err(failed)?;
        let commit = stage_at_hub(&self.group, algorithms, message).map_err(failed)?;
        self.group.merge_commit(&self.store, commit.staged).map_err(failed)
    }
}
