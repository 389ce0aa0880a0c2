//! The draft's structs, under its names, and those of the client API in the same style.

use super::{
    Part::{Field, Unless, When},
    Type::{self, Flag, Names, Opaque, Optional, Rest, Struct, Text, Uint, Vector, Verbatim},
    mls::{
        CAPABILITIES, CREDENTIAL, GROUP_INFO, KEY_PACKAGE, MLS_MESSAGE, PUBLIC_MESSAGE,
        RATCHET_TREE, WELCOME,
    },
};

const PROTOCOL: Type = Names(1, "Protocol", &[(1, "mls10")]);
const ROLE: Type = Names(
    1,
    "Role",
    &[
        (1, "system"),
        (2, "owner"),
        (3, "admin"),
        (4, "regular_user"),
        (5, "visitor"),
        (6, "banned"),
    ],
);

static USER_ROLES: Type =
    Struct("UserRoles", &[Field("user", &Text), Field("roles", &Vector(&ROLE))]);

pub(super) static APP_SYNC: Type = Struct(
    "AppSync",
    &[
        Field("addUsers", &Vector(&USER_ROLES)),
        Field("updateUsers", &Vector(&USER_ROLES)),
        Field("removeUsers", &Vector(&Text)),
    ],
);

pub(super) static MIMI_PARTICIPANT_LIST: Type =
    Struct("MimiParticipantList", &[Field("participants", &Vector(&USER_ROLES))]);

static REQUIRED_CAPABILITIES: Type = Struct(
    "RequiredCapabilities",
    &[
        Field("extensionTypes", &Vector(&Uint(2))),
        Field("proposalTypes", &Vector(&Uint(2))),
        Field("credentialTypes", &Vector(&Uint(2))),
    ],
);

pub(super) static KEY_MATERIAL_REQUEST: Type = Struct(
    "KeyMaterialRequest",
    &[
        Field("protocol", &PROTOCOL),
        Field("requestingUser", &Text),
        Field("targetUsers", &Vector(&Text)),
        Field("roomId", &Text),
        When(
            "protocol",
            &[1],
            &[
                Field("acceptableCiphersuites", &Vector(&Uint(2))),
                Field("requiredCapabilities", &REQUIRED_CAPABILITIES),
                Field("lastResortAllowed", &Flag),
            ],
        ),
        Unless("protocol", &[1], &[Field("rest", &Rest)]),
    ],
);

static CLIENT_KEY_MATERIAL: Type = Struct(
    "ClientKeyMaterial",
    &[
        Field(
            "clientStatus",
            &Names(
                1,
                "KeyMaterialClientCode",
                &[
                    (0, "success"),
                    (1, "keyMaterialExhausted"),
                    (2, "onlyLastResort"),
                    (3, "nothingCompatible"),
                ],
            ),
        ),
        Field("clientUri", &Text),
        When("clientStatus", &[0], &[Field("keyPackage", &Verbatim(&KEY_PACKAGE))]),
        When(
            "clientStatus",
            &[3],
            &[Field("clientCapabilities", &Optional(&Verbatim(&CAPABILITIES)))],
        ),
    ],
);

pub(super) static KEY_MATERIAL_RESPONSE: Type = Struct(
    "KeyMaterialResponse",
    &[
        Field("protocol", &PROTOCOL),
        Field(
            "userStatus",
            &Names(
                1,
                "KeyMaterialUserCode",
                &[
                    (0, "success"),
                    (1, "partialSuccess"),
                    (2, "incompatibleProtocol"),
                    (3, "noCompatibleMaterial"),
                    (4, "userUnknown"),
                    (5, "noConsent"),
                    (6, "noConsentForThisRoom"),
                    (7, "userDeleted"),
                ],
            ),
        ),
        Field("userUri", &Text),
        Field("clients", &Vector(&CLIENT_KEY_MATERIAL)),
    ],
);

pub(super) static RATCHET_TREE_OPTION: Type = Struct(
    "RatchetTreeOption",
    &[
        Field(
            "representation",
            &Names(1, "RatchetTreeRepresentation", &[(1, "full"), (5, "byReference")]),
        ),
        When("representation", &[1], &[Field("ratchetTree", &Verbatim(&RATCHET_TREE))]),
    ],
);

pub(super) static UPDATE_REQUEST: Type = Struct(
    "UpdateRequest",
    &[
        Field("proposalOrCommit", &Verbatim(&PUBLIC_MESSAGE)),
        When(
            "contentType",
            &[3],
            &[
                Field("welcome", &Optional(&Verbatim(&WELCOME))),
                Field("groupInfo", &Verbatim(&GROUP_INFO)),
                Field("ratchetTreeOption", &RATCHET_TREE_OPTION),
            ],
        ),
        When("contentType", &[2], &[Field("moreProposals", &Vector(&Verbatim(&PUBLIC_MESSAGE)))]),
    ],
);

pub(super) static UPDATE_ROOM_RESPONSE: Type = Struct(
    "UpdateRoomResponse",
    &[
        Field(
            "responseCode",
            &Names(
                1,
                "UpdateResponseCode",
                &[
                    (0, "success"),
                    (1, "wrongEpoch"),
                    (2, "notAllowed"),
                    (3, "hubUnresponsive"),
                    (4, "invalidProposal"),
                ],
            ),
        ),
        Field("errorDescription", &Opaque),
    ],
);

pub(super) static PENDING_PROPOSALS_RESPONSE: Type = Struct(
    "PendingProposalsResponse",
    &[
        Field("response", &UPDATE_ROOM_RESPONSE),
        Field("pendingProposals", &Vector(&Verbatim(&PUBLIC_MESSAGE))),
    ],
);

pub(super) static SUBMIT_MESSAGE_RESPONSE: Type = Struct(
    "SubmitMessageResponse",
    &[
        Field("protocol", &PROTOCOL),
        Field(
            "statusCode",
            &Names(
                1,
                "SubmitResponseCode",
                &[(0, "accepted"), (1, "notAllowed"), (2, "epochTooOld")],
            ),
        ),
        When("statusCode", &[0], &[Field("acceptedTimestamp", &Uint(8))]),
        When("statusCode", &[2], &[Field("currentEpoch", &Uint(8))]),
    ],
);

pub(super) static FANOUT_MESSAGE: Type = Struct(
    "FanoutMessage",
    &[
        Field("message", &Verbatim(&MLS_MESSAGE)),
        Field("timestamp", &Uint(8)),
        When("wireFormat", &[3], &[Field("ratchetTreeOption", &RATCHET_TREE_OPTION)]),
    ],
);

pub(super) static GROUP_INFO_REQUEST: Type = Struct(
    "GroupInfoRequest",
    &[
        Field("signature", &Opaque),
        Field("roomId", &Text),
        Field("requestingSignatureKey", &Opaque),
        Field("requestingCredential", &Verbatim(&CREDENTIAL)),
    ],
);

pub(super) static GROUP_INFO_RESPONSE: Type = Struct(
    "GroupInfoResponse",
    &[
        Field(
            "status",
            &Names(1, "GroupInfoCode", &[(1, "success"), (2, "notAuthorized"), (3, "noSuchRoom")]),
        ),
        When(
            "status",
            &[1],
            &[
                Field("groupInfo", &Verbatim(&GROUP_INFO)),
                Field("ratchetTreeOption", &RATCHET_TREE_OPTION),
            ],
        ),
    ],
);

pub(super) static CONSENT_ENTRY: Type = Struct(
    "ConsentEntry",
    &[
        Field(
            "consentOperation",
            &Names(
                1,
                "ConsentOperation",
                &[(0, "cancel"), (1, "request"), (2, "grant"), (3, "revoke")],
            ),
        ),
        Field("requesterUser", &Text),
        Field("targetUser", &Text),
        Field("roomId", &Optional(&Text)),
        When(
            "consentOperation",
            &[2],
            &[Field("clientKeyPackages", &Vector(&Verbatim(&KEY_PACKAGE)))],
        ),
    ],
);

pub(super) static DEVICE_REGISTRATION: Type = Struct(
    "DeviceRegistration",
    &[
        Field("clientUri", &Text),
        Field("signatureScheme", &Uint(2)),
        Field("signatureKey", &Opaque),
        Field("signature", &Opaque),
    ],
);

pub(super) static DEVICE_LIST: Type = Struct(
    "DeviceList",
    &[Field(
        "devices",
        &Vector(&Struct(
            "DeviceSummary",
            &[Field("clientUri", &Text), Field("registeredAt", &Uint(8))],
        )),
    )],
);

pub(super) static PSEUDONYM_GRANT: Type = Struct("PseudonymGrant", &[Field("clientUri", &Text)]);

pub(super) static KEY_PACKAGE_LIST: Type =
    Struct("KeyPackageList", &[Field("keyPackages", &Vector(&KEY_PACKAGE))]);

pub(super) static KEY_PACKAGE_STOCK: Type = Struct(
    "KeyPackageStock",
    &[Field("available", &Uint(4)), Field("lastResort", &Uint(4)), Field("nextExpiry", &Uint(8))],
);

pub(super) static ROOM_CREATION: Type = Struct(
    "RoomCreation",
    &[Field("groupInfo", &GROUP_INFO), Field("ratchetTreeOption", &RATCHET_TREE_OPTION)],
);

pub(super) static RATCHET_TREE_SUPPORT: Type =
    Names(1, "RatchetTreeSupport", &[(1, "full"), (5, "byReference")]);

pub(super) static ROOM_LIST: Type = Struct(
    "RoomList",
    &[Field(
        "rooms",
        &Vector(&Struct(
            "RoomSummary",
            &[
                Field("roomId", &Text),
                Field("cipherSuite", &Uint(2)),
                Field("profile", &Optional(&Names(1, "RoomProfile", &[(1, "A"), (2, "B")]))),
                Field("ratchetTree", &Optional(&RATCHET_TREE_SUPPORT)),
            ],
        )),
    )],
);

static CONSENT_ITEM: Type = Struct(
    "ConsentItem",
    &[Field("user", &Text), Field("roomId", &Optional(&Text)), Field("at", &Uint(8))],
);

pub(super) static CONSENT_STATE: Type = Struct(
    "ConsentState",
    &[
        Field("version", &Uint(8)),
        Field("incoming", &Vector(&CONSENT_ITEM)),
        Field("given", &Vector(&CONSENT_ITEM)),
        Field("refused", &Vector(&CONSENT_ITEM)),
        Field("requested", &Vector(&CONSENT_ITEM)),
        Field("received", &Vector(&CONSENT_ITEM)),
    ],
);

static LOG_EVENT: Type = Struct(
    "LogEvent",
    &[
        Field("roomId", &Text),
        Field("position", &Uint(8)),
        Field("previous", &Uint(8)),
        Field("message", &FANOUT_MESSAGE),
    ],
);

pub(super) static EVENT_PAGE: Type = Struct(
    "EventPage",
    &[
        Field("events", &Vector(&LOG_EVENT)),
        Field("end", &Uint(8)),
        Field("more", &Flag),
        Field("gap", &Flag),
    ],
);

static CURSOR: Type = Struct("Cursor", &[Field("roomId", &Text), Field("position", &Uint(8))]);

static DEVICE_AUTH: Type = Struct(
    "DeviceAuth",
    &[
        Field("clientUri", &Text),
        Field("created", &Uint(8)),
        Field("nonce", &Opaque),
        Field("signature", &Opaque),
    ],
);

pub(super) static FROM_CLIENT: Type = Struct(
    "FromClient",
    &[
        Field("frame", &Names(1, "FromClientFrame", &[(1, "hello"), (2, "ack")])),
        When("frame", &[1], &[Field("auth", &DEVICE_AUTH), Field("cursors", &Vector(&CURSOR))]),
        When("frame", &[2], &[Field("cursor", &CURSOR)]),
    ],
);

pub(super) static FROM_PROVIDER: Type = Struct(
    "FromProvider",
    &[
        Field(
            "frame",
            &Names(
                1,
                "FromProviderFrame",
                &[
                    (1, "event"),
                    (2, "inbox"),
                    (3, "gap"),
                    (4, "caughtUp"),
                    (5, "devicesChanged"),
                    (6, "revoked"),
                    (7, "consent"),
                ],
            ),
        ),
        When("frame", &[1, 2], &[Field("event", &LOG_EVENT)]),
        When("frame", &[3], &[Field("roomId", &Text)]),
        When("frame", &[7], &[Field("version", &Uint(8))]),
    ],
);
