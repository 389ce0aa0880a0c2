//! One or more encodings of every wire struct, written by hand around MLS objects of openmls.

use mimi_edge::wire::{
    self, AppSync, ConsentEntry, ConsentState, DeviceAuth, DeviceList, DeviceRegistration,
    EventPage, FanoutMessage, FromClient, FromProvider, GroupInfoRequest, GroupInfoResponse,
    KeyMaterialRequest, KeyMaterialResponse, KeyPackageList, KeyPackageStock, MimiParticipantList,
    PendingProposalsResponse, PseudonymGrant, RoomCreation, RoomList, SubmitMessageResponse,
    UpdateRequest, UpdateRoomResponse,
};
use tls_codec::{DeserializeBytes, Serialize};

use super::hand::{join, uri, vector};
use super::mls::{ROOM, STORY, Uploaded};

pub const ALICE: &str = "alice@alpha.example";
pub const BOB: &str = "bob@bravo.example";
pub const PHONE: &str = "bob@bravo.example/phone";
pub const TIME: [u8; 8] = [0, 0, 1, 0x92, 0xAB, 0xCD, 0xEF, 0x01];

/// The header of an MLSMessage.
pub const PUBLIC: [u8; 4] = [0, 1, 0, 1];
pub const PRIVATE: [u8; 4] = [0, 1, 0, 2];
pub const WELCOME: [u8; 4] = [0, 1, 0, 3];
pub const GROUP_INFO: [u8; 4] = [0, 1, 0, 4];
pub const KEY_PACKAGE: [u8; 4] = [0, 1, 0, 5];

/// RatchetTreeOption: full, then the tree.
pub fn full(tree: &[u8]) -> Vec<u8> {
    join(&[&[1], tree])
}

pub fn app_sync() -> Vec<u8> {
    join(&[
        &vector(&join(&[&uri(BOB), &[1, 4], &uri("carol@bravo.example"), &[3, 2, 3, 4]])),
        &vector(&join(&[&uri("dan@bravo.example"), &[1, 6]])),
        &vector(&join(&[&uri("eve@bravo.example"), &uri("fay@bravo.example")])),
    ])
}

pub fn consent_state() -> Vec<u8> {
    let for_a_room = join(&[&uri(ALICE), &[1], &uri(ROOM), &TIME]);
    let for_any = join(&[&uri(BOB), &[0], &TIME]);
    join(&[
        &TIME,
        &vector(&join(&[&for_a_room, &for_any])),
        &vector(&for_any),
        &[0],
        &vector(&for_a_room),
        &[0],
    ])
}

pub fn participant_list() -> Vec<u8> {
    vector(&join(&[&uri(ALICE), &[3, 2, 3, 4], &uri(BOB), &[2, 1, 5]]))
}

pub fn key_material_request() -> Vec<u8> {
    join(&[
        &[1],
        &uri(ALICE),
        &vector(&uri(BOB)),
        &uri(ROOM),
        &[4, 0, 1, 0, 3],
        &[4, 0, 6, 0xF0, 0xA7],
        &[2, 0, 8],
        &[2, 0, 1],
        &[1],
    ])
}

pub fn key_material_request_of_another_protocol() -> Vec<u8> {
    join(&[&[9], &uri(ALICE), &vector(&uri(BOB)), &[0], b"whatever follows"])
}

pub fn key_material_response() -> Vec<u8> {
    join(&[
        &[1, 1],
        &uri(BOB),
        &vector(&join(&[
            &join(&[&[0], &uri(PHONE), &STORY.bob_key_package]),
            &join(&[&[1], &uri("bob@bravo.example/laptop")]),
            &join(&[&[2], &uri("bob@bravo.example/desk")]),
            &join(&[&[3], &uri("bob@bravo.example/watch"), &[0]]),
            &join(&[&[3], &uri("bob@bravo.example/tv"), &[1], &STORY.capabilities]),
        ])),
    ])
}

pub fn update_with_commit(uploaded: &Uploaded) -> Vec<u8> {
    let welcome = match &uploaded.welcome {
        Some(welcome) => join(&[&[1], welcome]),
        None => vec![0],
    };
    join(&[&uploaded.commit, &welcome, &uploaded.group_info, &full(&uploaded.tree)])
}

pub fn update_with_tree_by_reference() -> Vec<u8> {
    let uploaded = &STORY.leave_commit;
    join(&[&uploaded.commit, &[0], &uploaded.group_info, &[5]])
}

pub fn update_with_proposals() -> Vec<u8> {
    join(&[&STORY.leave[0], &vector(&STORY.leave[1])])
}

pub fn pending_proposals() -> Vec<u8> {
    join(&[&[2], &vector(b"cached"), &vector(&STORY.leave.concat())])
}

pub fn fanout_of_application() -> Vec<u8> {
    join(&[&PRIVATE, &STORY.application, &TIME])
}

pub fn fanout_of_commit() -> Vec<u8> {
    join(&[&PUBLIC, &STORY.add.commit, &TIME])
}

pub fn fanout_of_proposal() -> Vec<u8> {
    join(&[&PUBLIC, &STORY.leave[0], &TIME])
}

pub fn fanout_of_welcome() -> Vec<u8> {
    let welcome = STORY.add.welcome.as_ref().unwrap();
    join(&[&WELCOME, welcome, &TIME, &full(&STORY.add.tree)])
}

pub fn group_info_request() -> Vec<u8> {
    join(&[
        &vector(b"a signature"),
        &vector(ROOM.as_bytes()),
        &vector(&STORY.signature_key),
        &STORY.credential,
    ])
}

pub fn group_info_response() -> Vec<u8> {
    join(&[&[1], &STORY.leave_commit.group_info, &full(&STORY.leave_commit.tree)])
}

pub fn consent_request() -> Vec<u8> {
    join(&[&[1], &uri(ALICE), &uri(BOB), &[1], &uri(ROOM)])
}

pub fn consent_grant() -> Vec<u8> {
    let key_packages = [&STORY.bob_key_package[..], &STORY.last_resort_key_package].concat();
    join(&[&[2], &uri(ALICE), &uri(BOB), &[0], &vector(&key_packages)])
}

pub fn device_auth() -> Vec<u8> {
    join(&[&uri(PHONE), &TIME, &vector(&[7; 16]), &vector(&[8; 64])])
}

/// A `LogEvent`.
pub fn log_event() -> Vec<u8> {
    join(&[&uri(ROOM), &5_u64.to_be_bytes(), &3_u64.to_be_bytes(), &fanout_of_application()])
}

pub fn event_page() -> Vec<u8> {
    join(&[&vector(&[log_event(), log_event()].concat()), &9_u64.to_be_bytes(), &[1, 0]])
}

/// A `Cursor`.
pub fn cursor() -> Vec<u8> {
    join(&[&uri(ROOM), &5_u64.to_be_bytes()])
}

/// A valid encoding, and what decodes it.
pub struct Sample {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Decodes exactly one value and encodes it again; `None` when it does not decode.
    pub again: fn(&[u8]) -> Option<Vec<u8>>,
}

impl Sample {
    fn of<T: DeserializeBytes + Serialize>(name: &'static str, bytes: Vec<u8>) -> Self {
        Self { name, bytes, again: again::<T> }
    }
}

fn again<T: DeserializeBytes + Serialize>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value = wire::decode_exact::<T>(bytes).ok()?;
    Some(wire::encode(&value).expect("what was decoded can be encoded"))
}

/// Every struct of the wire, with every branch.
pub fn samples() -> Vec<Sample> {
    let story = &*STORY;
    vec![
        Sample::of::<AppSync>("AppSync", app_sync()),
        Sample::of::<MimiParticipantList>("MimiParticipantList", participant_list()),
        Sample::of::<KeyMaterialRequest>("KeyMaterialRequest", key_material_request()),
        Sample::of::<KeyMaterialRequest>(
            "KeyMaterialRequest, another protocol",
            key_material_request_of_another_protocol(),
        ),
        Sample::of::<KeyMaterialResponse>("KeyMaterialResponse", key_material_response()),
        Sample::of::<UpdateRequest>("UpdateRequest, Adds", update_with_commit(&story.add)),
        Sample::of::<UpdateRequest>("UpdateRequest, external", update_with_commit(&story.external)),
        Sample::of::<UpdateRequest>("UpdateRequest, byReference", update_with_tree_by_reference()),
        Sample::of::<UpdateRequest>("UpdateRequest, proposals", update_with_proposals()),
        Sample::of::<UpdateRoomResponse>(
            "UpdateRoomResponse",
            join(&[&[4], &vector(b"what is wrong")]),
        ),
        Sample::of::<PendingProposalsResponse>("PendingProposalsResponse", pending_proposals()),
        Sample::of::<SubmitMessageResponse>("accepted", join(&[&[1, 0], &TIME])),
        Sample::of::<SubmitMessageResponse>("notAllowed", vec![1, 1]),
        Sample::of::<SubmitMessageResponse>("epochTooOld", join(&[&[1, 2], &TIME])),
        Sample::of::<FanoutMessage>("FanoutMessage, application", fanout_of_application()),
        Sample::of::<FanoutMessage>("FanoutMessage, commit", fanout_of_commit()),
        Sample::of::<FanoutMessage>("FanoutMessage, proposal", fanout_of_proposal()),
        Sample::of::<FanoutMessage>("FanoutMessage, Welcome", fanout_of_welcome()),
        Sample::of::<GroupInfoRequest>("GroupInfoRequest", group_info_request()),
        Sample::of::<GroupInfoResponse>("GroupInfoResponse, success", group_info_response()),
        Sample::of::<GroupInfoResponse>("GroupInfoResponse, notAuthorized", vec![2]),
        Sample::of::<ConsentEntry>("ConsentEntry, request", consent_request()),
        Sample::of::<ConsentEntry>("ConsentEntry, grant", consent_grant()),
        Sample::of::<ConsentEntry>(
            "ConsentEntry, cancel",
            join(&[&[0], &uri(ALICE), &uri(BOB), &[0]]),
        ),
        Sample::of::<ConsentEntry>(
            "ConsentEntry, revoke",
            join(&[&[3], &uri(ALICE), &uri(BOB), &[1], &uri(ROOM)]),
        ),
        Sample::of::<ConsentState>("ConsentState", consent_state()),
        Sample::of::<PseudonymGrant>("PseudonymGrant", uri(PHONE)),
        Sample::of::<DeviceList>("DeviceList", vector(&join(&[&uri(PHONE), &TIME]).repeat(2))),
        Sample::of::<DeviceRegistration>(
            "DeviceRegistration",
            join(&[&uri(PHONE), &[8, 7], &vector(&[1; 32]), &vector(&[2; 64])]),
        ),
        Sample::of::<DeviceAuth>("DeviceAuth", device_auth()),
        Sample::of::<KeyPackageList>("KeyPackageList", vector(&story.bob_key_package)),
        Sample::of::<KeyPackageStock>("KeyPackageStock", [&[0; 8], &TIME[..]].concat()),
        Sample::of::<RoomCreation>(
            "RoomCreation",
            join(&[&story.add.group_info, &full(&story.add.tree)]),
        ),
        // Profile and trees unknown; profile B and byReference.
        Sample::of::<RoomList>(
            "RoomList",
            vector(&join(&[&uri(ROOM), &[0, 1, 0, 0], &uri(ROOM), &[0, 1, 1, 2, 1, 5]])),
        ),
        Sample::of::<EventPage>("EventPage", event_page()),
        Sample::of::<FromClient>("Hello", join(&[&[1], &device_auth(), &vector(&cursor())])),
        Sample::of::<FromClient>("Ack", join(&[&[2], &cursor()])),
        Sample::of::<FromProvider>("Event", join(&[&[1], &log_event()])),
        Sample::of::<FromProvider>("Inbox", join(&[&[2], &log_event()])),
        Sample::of::<FromProvider>("Gap", join(&[&[3], &uri(ROOM)])),
        Sample::of::<FromProvider>("CaughtUp", vec![4]),
        Sample::of::<FromProvider>("DevicesChanged", vec![5]),
        Sample::of::<FromProvider>("Revoked", vec![6]),
        Sample::of::<FromProvider>("Consent", join(&[&[7], &TIME])),
        Sample::of::<FromProvider>("CatchingUp", join(&[&[8], &uri(ROOM), &TIME, &[0, 0, 0, 3]])),
    ]
}
