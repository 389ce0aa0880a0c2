//! RFC 9420's structs, under its names in camelCase. Types that only bodies outside of MIMI use are
//! left out.

use super::{
    Part::{Field, Unless, When},
    Type::{self, Framed, Names, Opaque, Optional, Struct, Uint, Vector},
    mimi::{APP_SYNC, MIMI_PARTICIPANT_LIST},
};

const PROTOCOL_VERSION: Type = Names(2, "ProtocolVersion", &[(1, "mls10")]);
const CIPHER_SUITE: Type = Names(
    2,
    "CipherSuite",
    &[
        (1, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"),
        (2, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256"),
        (3, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519"),
    ],
);
const EXTENSION_TYPE: Type = Names(
    2,
    "ExtensionType",
    &[
        (1, "application_id"),
        (2, "ratchet_tree"),
        (3, "required_capabilities"),
        (4, "external_pub"),
        (5, "external_senders"),
        (6, "app_data_dictionary"),
        (10, "last_resort"),
        (0xF0A6, "application_state"),
        (0xF0A7, "room_policy"),
    ],
);
const PROPOSAL_TYPE: Type = Names(
    2,
    "ProposalType",
    &[
        (1, "add"),
        (2, "update"),
        (3, "remove"),
        (4, "psk"),
        (5, "reinit"),
        (6, "external_init"),
        (7, "group_context_extensions"),
        (8, "app_data_update"),
        (9, "app_ephemeral"),
        (10, "self_remove"),
        (0xF0A5, "app_sync"),
    ],
);
const CREDENTIAL_TYPE: Type = Names(2, "CredentialType", &[(1, "basic"), (2, "x509")]);
const SENDER_TYPE: Type = Names(
    1,
    "SenderType",
    &[(1, "member"), (2, "external"), (3, "new_member_proposal"), (4, "new_member_commit")],
);
const CONTENT_TYPE: Type =
    Names(1, "ContentType", &[(1, "application"), (2, "proposal"), (3, "commit")]);
const WIRE_FORMAT: Type = Names(
    2,
    "WireFormat",
    &[
        (1, "mls_public_message"),
        (2, "mls_private_message"),
        (3, "mls_welcome"),
        (4, "mls_group_info"),
        (5, "mls_key_package"),
    ],
);

pub(super) static CREDENTIAL: Type = Struct(
    "Credential",
    &[
        Field("credentialType", &CREDENTIAL_TYPE),
        When("credentialType", &[1], &[Field("identity", &Opaque)]),
        Unless("credentialType", &[1], &[Field("content", &Opaque)]),
    ],
);

pub(super) static CAPABILITIES: Type = Struct(
    "Capabilities",
    &[
        Field("versions", &Vector(&PROTOCOL_VERSION)),
        Field("cipherSuites", &Vector(&CIPHER_SUITE)),
        Field("extensions", &Vector(&EXTENSION_TYPE)),
        Field("proposals", &Vector(&PROPOSAL_TYPE)),
        Field("credentials", &Vector(&CREDENTIAL_TYPE)),
    ],
);

static REQUIRED_CAPABILITIES: Type = Struct(
    "RequiredCapabilities",
    &[
        Field("extensionTypes", &Vector(&EXTENSION_TYPE)),
        Field("proposalTypes", &Vector(&PROPOSAL_TYPE)),
        Field("credentialTypes", &Vector(&CREDENTIAL_TYPE)),
    ],
);

pub(super) static EXTERNAL_SENDER: Type =
    Struct("ExternalSender", &[Field("signatureKey", &Opaque), Field("credential", &CREDENTIAL)]);

static COMPONENT_DATA: Type = Struct(
    "ComponentData",
    &[
        Field("componentId", &Uint(2)),
        When("componentId", &[0xF022], &[Field("data", &Framed(&MIMI_PARTICIPANT_LIST))]),
        Unless("componentId", &[0xF022], &[Field("data", &Opaque)]),
    ],
);

static APPLICATION_STATE: Type = Struct(
    "ApplicationState",
    &[Field("applicationId", &Uint(4)), Field("applicationState", &Framed(&MIMI_PARTICIPANT_LIST))],
);

static ROOM_POLICY: Type = Struct("RoomPolicy", &[Field("policy", &Opaque)]);
static EXTERNAL_PUB: Type = Struct("ExternalPub", &[Field("externalPub", &Opaque)]);

static EXTENSION: Type = Struct(
    "Extension",
    &[
        Field("extensionType", &EXTENSION_TYPE),
        When("extensionType", &[3], &[Field("extensionData", &Framed(&REQUIRED_CAPABILITIES))]),
        When("extensionType", &[4], &[Field("extensionData", &Framed(&EXTERNAL_PUB))]),
        When("extensionType", &[5], &[Field("extensionData", &Framed(&Vector(&EXTERNAL_SENDER)))]),
        When("extensionType", &[6], &[Field("extensionData", &Framed(&Vector(&COMPONENT_DATA)))]),
        When("extensionType", &[0xF0A6], &[Field("extensionData", &Framed(&APPLICATION_STATE))]),
        When("extensionType", &[0xF0A7], &[Field("extensionData", &Framed(&ROOM_POLICY))]),
        Unless("extensionType", &[3, 4, 5, 6, 0xF0A6, 0xF0A7], &[Field("extensionData", &Opaque)]),
    ],
);

static LEAF_NODE: Type = Struct(
    "LeafNode",
    &[
        Field("encryptionKey", &Opaque),
        Field("signatureKey", &Opaque),
        Field("credential", &CREDENTIAL),
        Field("capabilities", &CAPABILITIES),
        Field(
            "leafNodeSource",
            &Names(1, "LeafNodeSource", &[(1, "key_package"), (2, "update"), (3, "commit")]),
        ),
        When("leafNodeSource", &[1], &[Field("notBefore", &Uint(8)), Field("notAfter", &Uint(8))]),
        When("leafNodeSource", &[3], &[Field("parentHash", &Opaque)]),
        Field("extensions", &Vector(&EXTENSION)),
        Field("signature", &Opaque),
    ],
);

pub(super) static KEY_PACKAGE: Type = Struct(
    "KeyPackage",
    &[
        Field("version", &PROTOCOL_VERSION),
        Field("cipherSuite", &CIPHER_SUITE),
        Field("initKey", &Opaque),
        Field("leafNode", &LEAF_NODE),
        Field("extensions", &Vector(&EXTENSION)),
        Field("signature", &Opaque),
    ],
);

static PRE_SHARED_KEY_ID: Type = Struct(
    "PreSharedKeyID",
    &[
        Field(
            "pskType",
            &Names(1, "PSKType", &[(1, "external"), (2, "resumption"), (3, "application")]),
        ),
        When("pskType", &[1], &[Field("pskId", &Opaque)]),
        When(
            "pskType",
            &[2],
            &[Field("usage", &Uint(1)), Field("pskGroupId", &Opaque), Field("pskEpoch", &Uint(8))],
        ),
        When("pskType", &[3], &[Field("componentId", &Uint(2)), Field("pskId", &Opaque)]),
        Field("pskNonce", &Opaque),
    ],
);

static PROPOSAL: Type = Struct(
    "Proposal",
    &[
        Field("proposalType", &PROPOSAL_TYPE),
        When("proposalType", &[1], &[Field("keyPackage", &KEY_PACKAGE)]),
        When("proposalType", &[2], &[Field("leafNode", &LEAF_NODE)]),
        When("proposalType", &[3], &[Field("removed", &Uint(4))]),
        When("proposalType", &[4], &[Field("psk", &PRE_SHARED_KEY_ID)]),
        When(
            "proposalType",
            &[5],
            &[
                Field("groupId", &Opaque),
                Field("version", &PROTOCOL_VERSION),
                Field("cipherSuite", &CIPHER_SUITE),
                Field("extensions", &Vector(&EXTENSION)),
            ],
        ),
        When("proposalType", &[6], &[Field("kemOutput", &Opaque)]),
        When("proposalType", &[7], &[Field("extensions", &Vector(&EXTENSION))]),
        When(
            "proposalType",
            &[8],
            &[
                Field("componentId", &Uint(2)),
                Field("op", &Names(1, "AppDataUpdateOperation", &[(1, "update"), (2, "remove")])),
                When("op", &[1], &[Field("update", &Framed(&APP_SYNC))]),
            ],
        ),
        When("proposalType", &[9], &[Field("componentId", &Uint(2)), Field("data", &Opaque)]),
        When("proposalType", &[0xF0A5], &[Field("appSync", &Framed(&APP_SYNC))]),
        Unless(
            "proposalType",
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xF0A5],
            &[Field("content", &Opaque)],
        ),
    ],
);

static HPKE_CIPHERTEXT: Type =
    Struct("HPKECiphertext", &[Field("kemOutput", &Opaque), Field("ciphertext", &Opaque)]);

static PROPOSAL_OR_REF: Type = Struct(
    "ProposalOrRef",
    &[
        Field("type", &Names(1, "ProposalOrRefType", &[(1, "proposal"), (2, "reference")])),
        When("type", &[1], &[Field("proposal", &PROPOSAL)]),
        When("type", &[2], &[Field("reference", &Opaque)]),
    ],
);

static UPDATE_PATH: Type = Struct(
    "UpdatePath",
    &[
        Field("leafNode", &LEAF_NODE),
        Field(
            "nodes",
            &Vector(&Struct(
                "UpdatePathNode",
                &[
                    Field("encryptionKey", &Opaque),
                    Field("encryptedPathSecret", &Vector(&HPKE_CIPHERTEXT)),
                ],
            )),
        ),
    ],
);

static COMMIT: Type = Struct(
    "Commit",
    &[Field("proposals", &Vector(&PROPOSAL_OR_REF)), Field("path", &Optional(&UPDATE_PATH))],
);

static SENDER: Type = Struct(
    "Sender",
    &[
        Field("senderType", &SENDER_TYPE),
        When("senderType", &[1], &[Field("leafIndex", &Uint(4))]),
        When("senderType", &[2], &[Field("senderIndex", &Uint(4))]),
    ],
);

pub(super) static PUBLIC_MESSAGE: Type = Struct(
    "PublicMessage",
    &[
        Field("groupId", &Opaque),
        Field("epoch", &Uint(8)),
        Field("sender", &SENDER),
        Field("authenticatedData", &Opaque),
        Field("contentType", &CONTENT_TYPE),
        When("contentType", &[1], &[Field("applicationData", &Opaque)]),
        When("contentType", &[2], &[Field("proposal", &PROPOSAL)]),
        When("contentType", &[3], &[Field("commit", &COMMIT)]),
        Field("signature", &Opaque),
        When("contentType", &[3], &[Field("confirmationTag", &Opaque)]),
        When("senderType", &[1], &[Field("membershipTag", &Opaque)]),
    ],
);

static PRIVATE_MESSAGE: Type = Struct(
    "PrivateMessage",
    &[
        Field("groupId", &Opaque),
        Field("epoch", &Uint(8)),
        Field("contentType", &CONTENT_TYPE),
        Field("authenticatedData", &Opaque),
        Field("encryptedSenderData", &Opaque),
        Field("ciphertext", &Opaque),
    ],
);

pub(super) static WELCOME: Type = Struct(
    "Welcome",
    &[
        Field("cipherSuite", &CIPHER_SUITE),
        Field(
            "secrets",
            &Vector(&Struct(
                "EncryptedGroupSecrets",
                &[Field("newMember", &Opaque), Field("encryptedGroupSecrets", &HPKE_CIPHERTEXT)],
            )),
        ),
        Field("encryptedGroupInfo", &Opaque),
    ],
);

static GROUP_CONTEXT: Type = Struct(
    "GroupContext",
    &[
        Field("version", &PROTOCOL_VERSION),
        Field("cipherSuite", &CIPHER_SUITE),
        Field("groupId", &Opaque),
        Field("epoch", &Uint(8)),
        Field("treeHash", &Opaque),
        Field("confirmedTranscriptHash", &Opaque),
        Field("extensions", &Vector(&EXTENSION)),
    ],
);

pub(super) static GROUP_INFO: Type = Struct(
    "GroupInfo",
    &[
        Field("groupContext", &GROUP_CONTEXT),
        Field("extensions", &Vector(&EXTENSION)),
        Field("confirmationTag", &Opaque),
        Field("signer", &Uint(4)),
        Field("signature", &Opaque),
    ],
);

static NODE: Type = Struct(
    "Node",
    &[
        Field("nodeType", &Names(1, "NodeType", &[(1, "leaf"), (2, "parent")])),
        When("nodeType", &[1], &[Field("leafNode", &LEAF_NODE)]),
        When(
            "nodeType",
            &[2],
            &[
                Field("encryptionKey", &Opaque),
                Field("parentHash", &Opaque),
                Field("unmergedLeaves", &Vector(&Uint(4))),
            ],
        ),
    ],
);

pub(super) static RATCHET_TREE: Type = Vector(&Optional(&NODE));

pub(super) static MLS_MESSAGE: Type = Struct(
    "MLSMessage",
    &[
        Field("version", &PROTOCOL_VERSION),
        Field("wireFormat", &WIRE_FORMAT),
        When("wireFormat", &[1], &[Field("publicMessage", &PUBLIC_MESSAGE)]),
        When("wireFormat", &[2], &[Field("privateMessage", &PRIVATE_MESSAGE)]),
        When("wireFormat", &[3], &[Field("welcome", &WELCOME)]),
        When("wireFormat", &[4], &[Field("groupInfo", &GROUP_INFO)]),
        When("wireFormat", &[5], &[Field("keyPackage", &KEY_PACKAGE)]),
    ],
);
