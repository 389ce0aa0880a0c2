//! What `wire` reads from Commits, Proposals and trees in clear is what openmls makes of them.
#![cfg(not(target_arch = "wasm32"))]

mod wire_fixtures;

use mimi_edge::error::ProtocolError;
use mimi_edge::wire::{
    CommitOutline, OutlineProposal, OutlineSender, RatchetTree, commit_outline, decode_exact,
    encode, path_credential, proposal_outline, tree_credentials,
};
use openmls::framing::{ContentType, PublicMessageIn, Sender};
use sha2::{Digest, Sha256};
use tls_codec::{DeserializeBytes, Serialize};
use wire_fixtures::hand::{join, vector};
use wire_fixtures::mls::{Observed, ROOM, STORY};

/// The bytes of a proposal that the outline gives.
fn encoded(proposal: &OutlineProposal) -> Option<Vec<u8>> {
    Some(match proposal {
        OutlineProposal::Add(key_package) => join(&[&[0, 1], key_package.bytes()]),
        OutlineProposal::Remove(leaf) => join(&[&[0, 3], &leaf.to_be_bytes()]),
        OutlineProposal::AppDataUpdate { component_id, update: Some(update) } => {
            join(&[&[0, 8], &component_id.to_be_bytes(), &[1], &vector(update)])
        }
        OutlineProposal::AppDataUpdate { component_id, update: None } => {
            join(&[&[0, 8], &component_id.to_be_bytes(), &[2]])
        }
        OutlineProposal::Custom { proposal_type, content } => {
            join(&[&proposal_type.to_be_bytes(), &vector(content)])
        }
        OutlineProposal::Other(_) | OutlineProposal::Reference(_) => return None,
    })
}

fn sender(sender: &Sender) -> OutlineSender {
    match sender {
        Sender::Member(leaf) => OutlineSender::Member(leaf.u32()),
        // openmls shows the index in its encoding alone.
        Sender::External(index) => {
            let encoded = index.tls_serialize_detached().unwrap();
            OutlineSender::External(u32::from_be_bytes(encoded.try_into().unwrap()))
        }
        Sender::NewMemberProposal => OutlineSender::NewMemberProposal,
        Sender::NewMemberCommit => OutlineSender::NewMemberCommit,
    }
}

fn assert_agrees(outline: &CommitOutline, observed: &Observed) {
    assert_eq!(outline.group_id, ROOM.as_bytes());
    assert_eq!(outline.epoch, observed.epoch);
    assert_eq!(outline.sender, sender(&observed.sender));

    let mut references: Vec<Vec<u8>> = outline
        .proposals
        .iter()
        .filter_map(|proposal| match proposal {
            OutlineProposal::Reference(reference) => Some(reference.clone()),
            _ => None,
        })
        .collect();
    references.sort();
    assert_eq!(references, observed.references);

    // The outline keeps no more than the type of an ExternalInit (6).
    let mut inline: Vec<Vec<u8>> = outline.proposals.iter().filter_map(encoded).collect();
    inline.sort();
    let known: Vec<Vec<u8>> =
        observed.inline.iter().filter(|proposal| !proposal.starts_with(&[0, 6])).cloned().collect();
    assert_eq!(inline, known);
    let others =
        outline.proposals.iter().filter(|p| matches!(p, OutlineProposal::Other(_))).count();
    assert_eq!(others, observed.inline.len() - known.len());
}

#[test]
fn an_outline_agrees_with_what_openmls_processes() {
    for (commit, observed) in &STORY.observed {
        assert_agrees(&commit_outline(commit).unwrap(), observed);
    }
}

#[test]
fn an_outline_has_the_proposals_in_the_order_of_the_commit() {
    let story = &*STORY;
    let proposals: [(Vec<u8>, OutlineProposal); 6] = [
        (vec![1, 0, 3, 0, 0, 0, 9], OutlineProposal::Remove(9)),
        (vec![2, 2, 0xAB, 0xCD], OutlineProposal::Reference(vec![0xAB, 0xCD])),
        (
            vec![1, 0, 8, 0xF0, 0x22, 1, 3, 7, 8, 9],
            OutlineProposal::AppDataUpdate { component_id: 0xF022, update: Some(vec![7, 8, 9]) },
        ),
        (
            join(&[&[1, 0, 1], &story.bob_key_package]),
            OutlineProposal::Add(Box::new(decode_exact(&story.bob_key_package).unwrap())),
        ),
        (
            vec![1, 0, 8, 0xF0, 0x23, 2],
            OutlineProposal::AppDataUpdate { component_id: 0xF023, update: None },
        ),
        (
            vec![1, 0xF0, 0xA5, 3, 1, 2, 3],
            OutlineProposal::Custom { proposal_type: 0xF0A5, content: vec![1, 2, 3] },
        ),
    ];
    for sender in [
        (vec![1, 0, 0, 0, 5], OutlineSender::Member(5)),
        (vec![2, 0, 0, 0, 0], OutlineSender::External(0)),
        (vec![3], OutlineSender::NewMemberProposal),
        (vec![4], OutlineSender::NewMemberCommit),
    ] {
        for rotation in 0..proposals.len() {
            let mut list = proposals.clone();
            list.rotate_left(rotation);
            let list_bytes: Vec<u8> = list.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            let commit = join(&[
                &vector(b"group"),
                &[0, 0, 0, 0, 0, 0, 1, 2],
                &sender.0,
                &vector(b"authenticated data"),
                &[3],
                &vector(&list_bytes),
                &[0],
            ]);
            let expected = CommitOutline {
                group_id: b"group".to_vec(),
                epoch: 0x0102,
                sender: sender.1,
                proposals: list.into_iter().map(|(_, proposal)| proposal).collect(),
            };
            assert_eq!(commit_outline(&commit), Ok(expected));
        }
    }
}

#[test]
fn an_outline_of_a_proposal_leads_to_its_reference() {
    let [remove, update] = STORY.leave.each_ref().map(|p| proposal_outline(p).unwrap());
    for outline in [&remove, &update] {
        assert_eq!(outline.group_id, ROOM.as_bytes());
        assert_eq!((outline.epoch, outline.sender), (2, OutlineSender::Member(2)));
    }
    assert_eq!(remove.proposal, OutlineProposal::Remove(2));
    assert_eq!(
        update.proposal,
        OutlineProposal::AppDataUpdate { component_id: 0xF022, update: Some(b"-bob".to_vec()) }
    );
    // RFC 9420 §5.2: RefHash("MLS 1.0 Proposal Reference", AuthenticatedContent).
    let mut references = [remove, update].map(|outline| {
        let label = vector(b"MLS 1.0 Proposal Reference");
        Sha256::digest(join(&[&label, &vector(&outline.authenticated_content)])).to_vec()
    });
    references.sort();
    assert_eq!(STORY.observed[1].1.references, references);
}

#[test]
fn the_credential_of_a_path_is_the_one_that_openmls_sees() {
    let mut with_path = 0;
    for (commit, observed) in &STORY.observed {
        let credential = path_credential(commit).unwrap();
        assert_eq!(credential.map(|c| encode(&c).unwrap()), observed.path_credential);
        with_path += usize::from(observed.path_credential.is_some());
    }
    assert!(with_path >= 2, "the external commit and the removals");
    let joiner = path_credential(&STORY.external.commit).unwrap().unwrap();
    assert_eq!(encode(&joiner).unwrap(), STORY.credential);
}

#[test]
fn the_leaves_of_a_tree_are_the_members_of_the_group() {
    let story = &*STORY;
    for uploaded in [&story.add, &story.leave_commit, &story.external, &story.remove] {
        let tree = RatchetTree::from_encoded(&uploaded.tree).unwrap();
        let leaves: Vec<(u32, Vec<u8>)> = tree_credentials(&tree)
            .unwrap()
            .into_iter()
            .map(|(leaf, credential)| (leaf, encode(&credential).unwrap()))
            .collect();
        assert_eq!(leaves, uploaded.members);
    }
    let leaves = story.leave_commit.members.iter().map(|(leaf, _)| *leaf).collect::<Vec<_>>();
    assert_eq!(leaves, [0, 1, 3], "with a blank one in between");
}

#[test]
fn a_damaged_tree_never_panics() {
    for uploaded in [&STORY.leave_commit, &STORY.external] {
        let mut damaged = uploaded.tree.clone();
        for bit in 0..8 * damaged.len() {
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(tree) = RatchetTree::from_encoded(&damaged) {
                let _ = (tree_credentials(&tree), tree.nodes());
            }
            damaged[bit / 8] = uploaded.tree[bit / 8];
        }
        let tree = RatchetTree::from_encoded(&uploaded.tree).unwrap();
        let whole = tree_credentials(&tree).unwrap();
        for end in 0..tree.content().len() {
            let cut = RatchetTree::from_encoded(&vector(&tree.content()[..end])).unwrap();
            if let Ok(leaves) = tree_credentials(&cut) {
                assert!(whole.starts_with(&leaves), "{end} bytes");
            }
        }
    }
}

#[test]
fn a_node_at_the_wrong_place_of_a_tree_is_refused() {
    let leaf = join(&[&[1, 1], &STORY.leaf_node]);
    let parent = join(&[&[1, 2], &vector(&[7; 32]), &[0, 0]]);
    for (nodes, leaves) in [
        (vec![&leaf], Some(vec![0])),
        (vec![&leaf, &parent, &leaf], Some(vec![0, 1])),
        (vec![&leaf, &leaf], None),
        (vec![&parent], None),
    ] {
        let nodes: Vec<u8> = nodes.into_iter().flatten().copied().collect();
        let tree = RatchetTree::from_encoded(&vector(&nodes)).unwrap();
        let found = tree_credentials(&tree);
        assert_eq!(
            found.map(|found| found.into_iter().map(|(leaf, _)| leaf).collect()),
            leaves.ok_or(ProtocolError::Malformed("tree"))
        );
    }
}

#[test]
fn an_outline_of_another_content_is_refused() {
    let story = &*STORY;
    for bytes in [&story.leave[0], &story.leave[1], &story.application, &Vec::new()] {
        assert_eq!(commit_outline(bytes), Err(ProtocolError::Malformed("commit")));
        assert_eq!(path_credential(bytes), Err(ProtocolError::Malformed("commit")));
    }
    for bytes in [&story.add.commit, &story.external.commit, &story.application, &Vec::new()] {
        assert_eq!(proposal_outline(bytes), Err(ProtocolError::Malformed("proposal")));
    }
}

#[test]
fn an_outline_of_a_truncated_commit_is_the_whole_outline_or_none() {
    for (commit, _) in &STORY.observed {
        let whole = commit_outline(commit);
        for end in 0..commit.len() {
            let outline = commit_outline(&commit[..end]);
            assert!(outline.is_err() || outline == whole, "{end} bytes");
        }
    }
}

#[test]
fn an_outline_of_a_damaged_proposal_agrees_with_openmls_and_never_panics() {
    for proposal in &STORY.leave {
        let mut damaged = proposal.clone();
        for bit in 0..8 * proposal.len() {
            damaged[bit / 8] ^= 1 << (bit % 8);
            let outline = proposal_outline(&damaged);
            let decoded = PublicMessageIn::tls_deserialize_exact_bytes(&damaged);
            if decoded.is_ok_and(|m| m.content_type() == ContentType::Proposal) {
                assert!(outline.is_ok(), "bit {bit}");
            }
            damaged[bit / 8] = proposal[bit / 8];
        }
        for end in 0..proposal.len() {
            let _ = proposal_outline(&proposal[..end]);
        }
    }
}

#[test]
fn an_outline_of_damaged_bytes_agrees_with_openmls_and_never_panics() {
    for (commit, _) in &STORY.observed {
        let mut damaged = commit.clone();
        for bit in 0..8 * commit.len() {
            damaged[bit / 8] ^= 1 << (bit % 8);
            let outline = commit_outline(&damaged);
            let decoded = PublicMessageIn::tls_deserialize_exact_bytes(&damaged);
            if let Some(message) = decoded.ok().filter(|m| m.content_type() == ContentType::Commit)
            {
                let outline = outline.unwrap_or_else(|_| panic!("bit {bit}"));
                assert_eq!(outline.group_id, message.group_id().as_slice());
                assert_eq!(outline.epoch, message.epoch().as_u64());
                assert_eq!(outline.sender, sender(message.sender()));
                assert!(path_credential(&damaged).is_ok(), "bit {bit}");
            } else {
                let _ = path_credential(&damaged);
            }
            damaged[bit / 8] = commit[bit / 8];
        }
    }
}

/// A blank node is one byte on the wire and much more in memory.
#[test]
fn d18_a_tree_of_more_nodes_than_65536_clients_have_is_not_decoded() {
    let tree = |content: &[u8]| RatchetTree::from_encoded(&vector(content)).unwrap();
    assert!(tree(&[0; 131_071]).nodes().is_ok());
    for too_many in [131_072, 4 << 20] {
        let refused = tree(&vec![0; too_many]).nodes();
        assert_eq!(refused.err(), Some(ProtocolError::Malformed("tree")));
    }
    // It is the nodes that count, not the bytes: two leaves and their parent, and a blank one.
    let whole: RatchetTree = decode_exact(&STORY.add.tree).unwrap();
    let some = [whole.content(), &[0]].concat();
    let large = tree(&some.repeat(131_072 / some.len() + 1));
    assert!(large.content().len() > 131_071 && large.nodes().is_ok());
    let mut cut = large.content().to_vec();
    cut.truncate(cut.len() - 2);
    assert_eq!(tree(&cut).nodes().err(), Some(ProtocolError::Malformed("tree")));
}
