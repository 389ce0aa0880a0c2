//! What hostile members and providers send: refused, and the room goes on.

use mimi_edge::{
    mls::labels::sign_with_label,
    transport::Endpoint,
    wire::{RatchetTreeOption, Verbatim, decode_exact, encode},
};
use openmls::{messages::group_info::VerifiableGroupInfo, prelude::PublicMessageIn};
use sha2::{Digest, Sha256};
use tls_codec::{DeserializeBytes, VLBytes};

use crate::{
    BRAVO, CHARLIE, alices, bobs, cathys,
    common::{
        group::{Member, room, sync},
        hub::Hub,
        member::{Upload, member, removes},
        proposals::bundle,
    },
    invalid,
};

/// Every truncation of a good body is malformed, and changes nothing.
#[test]
fn r5_truncated_bodies_are_malformed() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let body = alice.propose(Vec::new(), &[], &[]).body();
    let before = hub.rows();
    for length in (0..body.len()).step_by(7) {
        let response = hub.update(alices(), body[..length].to_vec());
        assert_eq!(response.status, 400, "at {length}");
    }
    let response = hub.update(alices(), [&body[..], &[0]].concat());
    assert_eq!(response.status, 400);
    assert!(hub.rows() == before);
}

/// Every single-bit change of a good body is refused: nothing in it is unprotected.
#[test]
fn r50_every_changed_bit_is_refused() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let body = alice.propose(Vec::new(), &[], &[]).body();
    let membership_tag = membership_tag_range(&body);
    let before = hub.rows();
    for at in (0..body.len()).filter(|at| !membership_tag.contains(at)).step_by(3) {
        let mut changed = body.clone();
        changed[at] ^= 1 << (at % 8);
        let response = hub.update(alices(), changed);
        assert_ne!(response.status, 200, "at {at}");
        assert!(hub.rows() == before, "at {at}");
    }
    assert_eq!(hub.update(alices(), body).status, 200);
    bob.process(&hub.notified(BRAVO)[0]);
}

/// The hub cannot check the membership tag: it has no secrets.
fn membership_tag_range(body: &[u8]) -> std::ops::Range<usize> {
    let (_, rest) = Verbatim::<PublicMessageIn>::tls_deserialize_bytes(body).unwrap();
    let end = body.len() - rest.len();
    end - 32..end
}

/// Every single-bit change of a good bundle is refused, and of an external commit too.
#[test]
fn r7_r53_every_changed_bit_of_proposals_and_external_commits_is_refused() {
    let (mut hub, _, mut bob, _) = Hub::with_alice_bob_and_cathy();
    let proposals = bob.leave(&[&bob.client.clone()]);
    let mut laptop = member("cathy@charlie.example/laptop");
    let joining = hub.external_commit(&mut laptop, &[]).body();
    let before = hub.rows();
    let body = bundle(&proposals);
    // The second one's membership tag is at the end, the first one's before the others' length.
    let first_ends = proposals[0].len();
    let tags = [first_ends - 32..first_ends, body.len() - 32..body.len()];
    for at in (0..body.len()).filter(|at| !tags.iter().any(|tag| tag.contains(at))) {
        let mut changed = body.clone();
        changed[at] ^= 1 << (at % 8);
        assert_ne!(hub.update(bobs(), changed).status, 200, "at {at}");
        assert!(hub.rows() == before, "at {at}");
    }
    for at in (0..joining.len()).step_by(5) {
        let mut changed = joining.clone();
        changed[at] ^= 1 << (at % 8);
        assert_ne!(hub.update(cathys(), changed).status, 200, "at {at}");
        assert!(hub.rows() == before, "at {at}");
    }
    hub.propose(bobs(), &proposals);
    assert_eq!(hub.update(cathys(), joining).status, 200);
}

#[test]
fn r5_r53_truncated_bundles_are_malformed() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let body = bundle(&bob.leave(&[&bob.client.clone()]));
    let before = hub.rows();
    for length in 0..body.len() {
        assert_eq!(hub.update(bobs(), body[..length].to_vec()).status, 400, "at {length}");
    }
    assert!(hub.rows() == before);
}

/// A proposal beside a commit's, or an application message, or one of another room.
#[test]
fn r6_r8_a_bundle_holds_proposals_of_this_room_alone() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let commit = alice.propose(Vec::new(), &[], &[]).message;
    let removal = bob.removal(&bob.client.clone());
    let endpoint = Endpoint::Update { room: room() };
    let malformed = |text: &str| (400, format!("malformed: {text}").into_bytes());
    let body = bundle(&[removal.clone(), commit]);
    hub.refused(bobs(), endpoint.clone(), body, malformed("not a proposal"));
    let mut elsewhere = removal.clone();
    elsewhere[1] = b'C';
    for proposals in [[elsewhere.clone(), removal.clone()], [removal, elsewhere]] {
        let body = bundle(&proposals);
        hub.refused(bobs(), endpoint.clone(), body, malformed("another group"));
    }
}

/// A body that another room accepted is nothing here: not as it is, nor under this room's name.
#[test]
fn r8_r67_what_another_room_accepted_is_of_no_use_here() {
    let (mut other, mut alice, mut bob) = Hub::with_alice_and_bob();
    let (upload, leave) = (alice.propose(Vec::new(), &[], &[]), bob.leave(&[&bob.client.clone()]));
    other.propose(bobs(), &leave);
    // A room of the same members under the same name: only its group differs.
    let (mut hub, _, _) = Hub::with_alice_and_bob();
    hub.effects();
    let refused = invalid("MLS refuses the message");
    hub.refuses_update(alices(), upload.body(), refused);
    hub.refuses_update(bobs(), bundle(&leave), refused);
}

#[test]
fn r52_the_welcome_is_of_the_rooms_suite() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let mut upload = hub.addition(&mut alice, &mut cathy);
    hub.effects();
    let good = upload.clone();
    upload.welcome.as_mut().unwrap()[1] = 3;
    hub.refuses_update(alices(), upload.body(), invalid("the Welcome's cipher suite"));
    hub.accept(alices(), &good);
}

/// No hub can look into a Welcome; who cannot open it joins by itself (D9).
#[test]
fn d9_whose_welcome_is_garbage_joins_by_itself() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let mut upload = hub.addition(&mut alice, &mut cathy);
    *upload.welcome.as_mut().unwrap().last_mut().unwrap() ^= 1;
    hub.accept(alices(), &upload);
    alice.merge_own();
    let sent = hub.deliver();
    bob.process(&sent[0].fanout()[0]);
    let welcome = sent.iter().find_map(|sent| sent.welcome_for(&cathy.client)).unwrap();
    let Some(RatchetTreeOption::Full(tree)) = &welcome.ratchet_tree_option else { panic!() };
    assert!(cathy.join(&welcome.message.bytes()[4..], tree).is_err());
    // By its key, the leaf that the commit added goes.
    let joining = hub.external_commit(&mut cathy, &[]);
    hub.accept(cathys(), &joining);
    let commit = hub.notified(CHARLIE).remove(0);
    for member in [&mut alice, &mut bob] {
        member.process(&commit);
        assert_eq!(member.state(), cathy.state());
    }
}

/// A commit with a path that nobody can decrypt, and everything else right.
fn with_garbage_in_path(committer: &mut Member, before: &[u8], upload: &Upload) -> Upload {
    const SIGNATURE: usize = 2 + 64;
    const TAG: usize = 1 + 32;
    let vector = |bytes: &[u8]| encode(&VLBytes::from(bytes)).unwrap();
    let hash = |parts: &[&[u8]]| Sha256::digest(parts.concat()).to_vec();
    let old: VerifiableGroupInfo = decode_exact(before).unwrap();
    let context = encode(old.group_context()).unwrap();

    let (content, auth) = upload.message.split_at(upload.message.len() - SIGNATURE - 2 * TAG);
    let mut content = content.to_vec();
    *content.last_mut().unwrap() ^= 1;
    let signed = [&[0, 1, 0, 1], &content[..], &context].concat();
    let key = &committer.key;
    let signature = vector(&sign_with_label(key, "FramedContentTBS", &signed).unwrap());
    let message = [&content[..], &signature, &auth[SIGNATURE..]].concat();

    // The GroupInfo ends with signer and signature; before them stands the confirmation tag.
    let old_tag = &before[before.len() - SIGNATURE - 4 - TAG..][..TAG];
    let interim = hash(&[old.group_context().confirmed_transcript_hash(), old_tag]);
    let confirmed = hash(&[&interim, &[0, 1], &content, &signature]);
    let new: VerifiableGroupInfo = decode_exact(&upload.group_info).unwrap();
    let replaced = new.group_context().confirmed_transcript_hash();
    let mut group_info = upload.group_info[..upload.group_info.len() - SIGNATURE].to_vec();
    let at = group_info.windows(32).position(|window| window == replaced).unwrap();
    group_info[at..at + 32].copy_from_slice(&confirmed);
    let signature = vector(&sign_with_label(key, "GroupInfoTBS", &group_info).unwrap());
    group_info.extend(signature);
    Upload { message, group_info, ..upload.clone() }
}

/// No hub can look into a path; who cannot follow a commit joins again (D8), and the room goes on.
#[test]
fn d8_a_member_that_commits_garbage_in_its_path_does_not_stop_the_room() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let (before, _) = hub.group_info(&alice);
    let good = bob.propose(Vec::new(), &[], &[]);
    let garbage = with_garbage_in_path(&mut bob, &before, &good);
    hub.accept(bobs(), &garbage);
    let commit = hub.notified(BRAVO).remove(0).message.bytes()[4..].to_vec();
    for member in [&mut alice, &mut cathy] {
        let refused = member.with_group(|group, provider, _| {
            let message: PublicMessageIn = decode_exact(&commit).unwrap();
            group.process_message(provider, message).map(|_| ())
        });
        assert!(refused.is_err());
    }
    for (member, source) in [(&mut alice, alices()), (&mut cathy, cathys())] {
        let joining = hub.external_commit(member, &[]);
        hub.accept(source, &joining);
    }
    let commit = hub.notified(CHARLIE).pop().unwrap();
    alice.process(&commit);
    assert_eq!(alice.state(), cathy.state());
    assert_eq!(hub.submit(alices(), alice.message("still here")).status, 200);
    let message = hub.notified(CHARLIE).pop().unwrap();
    assert_eq!(cathy.process(&message).unwrap(), b"still here");
    // Out with him.
    let removal = alice.propose(vec![sync(&removes(&bob.user()))], &[], &[&bob.client]);
    hub.accept(alices(), &removal);
}
