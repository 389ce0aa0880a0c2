//! The outline of a Commit (`wire::commit_outline`) says what openmls says.

mod wire_fixtures;

use mimi_edge::error::ProtocolError;
use mimi_edge::wire::{
    CommitOutline, OutlineProposal, OutlineSender, commit_outline, decode_exact,
};
use openmls::framing::{ContentType, PublicMessageIn, Sender};
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
        (vec![1, 0xF0, 0xA5, 3, 1, 2, 3], OutlineProposal::Other(0xF0A5)),
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
fn an_outline_of_anything_but_a_commit_is_refused() {
    let story = &*STORY;
    for bytes in [&story.leave[0], &story.leave[1], &story.application, &Vec::new()] {
        assert_eq!(commit_outline(bytes), Err(ProtocolError::Malformed("commit")));
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
            }
            damaged[bit / 8] = commit[bit / 8];
        }
    }
}
