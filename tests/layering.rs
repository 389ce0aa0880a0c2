//! The import table of the architecture, checked over the text of `src`.
//!
//! A module may use the modules listed beside it, and itself. `lib.rs` is the frame and is free.
#![cfg(not(target_arch = "wasm32"))]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Top-level module → what it may import. `a::b` allows that one submodule only.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("time", &[]),
    ("sorted", &[]),
    ("wire", &["error", "time"]),
    ("rate", &["time"]),
    ("index", &["object", "storage", "transport", "wire", "time", "error", "config"]),
    ("config", &["rate", "wire", "error"]),
    ("room", &["sorted", "wire", "error"]),
    ("storage", &["wire", "time", "error"]),
    ("transport", &["wire", "time", "error"]),
    ("outbox", &["sorted", "storage", "transport", "wire", "time", "error"]),
    ("mls", &["sorted", "storage", "wire", "room", "time", "error"]),
    ("room_log", &["config", "sorted", "storage", "transport", "wire", "time", "error"]),
    ("object", &["config", "storage", "transport", "outbox", "wire", "time", "error"]),
    (
        "client",
        &["sorted", "mls", "room", "storage", "transport", "outbox", "wire", "time", "error"],
    ),
    ("low", &["sorted", "mls", "room", "storage", "wire", "time", "error"]),
    (
        "hub",
        &[
            "room_log",
            "object",
            "config",
            "mls",
            "room",
            "storage",
            "transport",
            "outbox",
            "wire",
            "time",
            "error",
            "provider::route",
        ],
    ),
    (
        "follower",
        &[
            "room_log",
            "object",
            "config",
            "mls",
            "room",
            "storage",
            "transport",
            "outbox",
            "wire",
            "time",
            "error",
            "provider::route",
        ],
    ),
    (
        "provider",
        &[
            "rate",
            "object",
            "config",
            "mls",
            "room",
            "storage",
            "transport",
            "outbox",
            "wire",
            "time",
            "error",
        ],
    ),
    ("js", &["transport"]),
    // The bindings name what they hand in: identifiers, roles, the source of randomness.
    (
        "wasm",
        &[
            "client",
            "low",
            "js",
            "mls::MlsCrypto",
            "storage",
            "transport",
            "wire::uri",
            "wire::Role",
            "time",
            "error",
        ],
    ),
    // No part of a product: the module that the official test vectors run on, and the benchmark.
    ("vectors", &["mls", "storage", "wire"]),
    ("public_room", &["mls", "wire"]),
    (
        "worker",
        &[
            "index",
            "hub",
            "follower",
            "provider",
            "object",
            "config",
            "storage",
            "transport",
            "js",
            "wire::uri",
            "time",
            "error",
        ],
    ),
];

/// Crates that only the modules listed beside them may name.
const CRATE_ONLY_IN: &[(&str, &[&str])] = &[
    ("wasm_bindgen", &["js", "public_room", "vectors", "wasm", "worker"]),
    ("js_sys", &["js", "wasm", "worker"]),
    ("web_sys", &["js", "wasm", "worker"]),
    ("gloo_net", &["wasm"]),
    ("x509_cert", &["worker"]),
    (
        "openmls",
        &[
            "wire",
            "room",
            "mls",
            "client",
            "hub",
            "follower",
            "provider",
            "vectors",
            "low",
            "public_room",
        ],
    ),
];

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    assert!(files.len() > 5, "src was found and read");
    let mut wrong = Vec::new();
    for path in &files {
        let inner = path.strip_prefix(&src).unwrap();
        let text = fs::read_to_string(path).unwrap();
        wrong.extend(violations(inner, &text));
    }
    assert!(wrong.is_empty(), "imports against the table:\n  {}", wrong.join("\n  "));
}

#[test]
fn the_check_sees_each_form_of_an_import() {
    let refused = |path: &str, text: &str| violations(Path::new(path), text).len();
    assert_eq!(refused("hub/mod.rs", "use crate::client::Client;"), 1);
    assert_eq!(refused("hub/mod.rs", "use crate::{wire::uri, follower};"), 1);
    assert_eq!(
        refused("hub/mod.rs", "use crate::{\n  wire::{a, client},\n  client::{X, Y},\n};"),
        2
    );
    assert_eq!(refused("wire/uri.rs", "fn f() -> crate::storage::Key { loop {} }"), 1);
    assert_eq!(refused("wire/uri.rs", "use super::super::storage::Key;"), 1);
    assert_eq!(refused("outbox.rs", "pub(crate) use super::hub::HubRoom;"), 1);
    assert_eq!(refused("storage/mod.rs", "use wasm_bindgen::prelude::*;"), 1);
    assert_eq!(refused("storage/mod.rs", "use openmls::prelude::*;"), 1);
    assert_eq!(refused("provider/mod.rs", "use crate::hub::HubRoom;"), 1);
    assert_eq!(refused("hub/mod.rs", "use crate::provider::User;"), 1);
    assert_eq!(refused("hub/mod.rs", "use crate::{provider::{User, route}, error::Error};"), 1);
    assert_eq!(refused("wasm/mod.rs", "use crate::wire::{Role, uri::{UserUri}, KeyPackages};"), 1);
    assert_eq!(refused("unheard_of.rs", ""), 1);
}

#[test]
fn the_check_lets_pass_what_is_allowed() {
    let refused = |path: &str, text: &str| violations(Path::new(path), text);
    let none: Vec<String> = Vec::new();
    assert_eq!(refused("hub/mod.rs", "use crate::hub::update::check;"), none);
    assert_eq!(refused("hub/mod.rs", "use crate::provider::route::Route;"), none);
    assert_eq!(refused("hub/mod.rs", "use crate::{error::Error, wire::{uri, group_info}};"), none);
    assert_eq!(refused("hub/mod.rs", "//! See [`crate::client`].\n/* crate::client */"), none);
    assert_eq!(refused("wire/mod.rs", "mod tests { use super::*; }"), none);
    assert_eq!(refused("lib.rs", "pub use crate::hub::HubRoom;"), none);
}

/// Every way in which the file at `path` (inside `src`) breaks the tables.
fn violations(path: &Path, text: &str) -> Vec<String> {
    let module = top_level_module(path);
    if module == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{}: module `{module}` is not in the table", path.display())];
    };
    let code = without_comments(text);
    let mut wrong = Vec::new();
    for used in imports(&code, depth(path)) {
        let name = used.split("::").next().unwrap_or_default();
        let fits = |a: &&str| *a == name || used == **a || used.starts_with(&format!("{a}::"));
        if name != module && !allowed.iter().any(fits) {
            wrong.push(format!("{}: `{module}` may not import `{used}`", path.display()));
        }
    }
    for (name, places) in CRATE_ONLY_IN {
        if !places.contains(&module.as_str()) && names_crate(&code, name) {
            wrong.push(format!("{}: `{module}` may not use the crate `{name}`", path.display()));
        }
    }
    wrong
}

/// The crate-level paths that `code` names, cut after two segments, each once.
fn imports(code: &str, depth: usize) -> BTreeSet<String> {
    let known: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut found = BTreeSet::new();
    for after in occurrences(code, "crate::") {
        found.extend(heads(after));
    }
    for after in occurrences(code, "super::") {
        let mut rest = after;
        let mut ups = 1;
        while let Some(next) = rest.strip_prefix("super::") {
            rest = next;
            ups += 1;
        }
        // An inline module adds a level, so a chain that just reaches the root may not do so:
        // it counts when it then names a top-level module.
        if ups >= depth {
            let is_module = |p: &String| known.contains_key(p.split("::").next().unwrap_or(""));
            found.extend(heads(rest).into_iter().filter(is_module));
        }
    }
    found
}

/// The paths, cut after two segments, that `text` starts with: one, or those of a group.
fn heads(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for item in group_or_path(text) {
        let first = leading_identifier(item);
        let after = item[first.len()..].strip_prefix("::");
        let seconds = after.map(group_or_path).unwrap_or_default();
        match seconds.is_empty() {
            true => paths.push(first.to_owned()),
            false => paths.extend(seconds.into_iter().map(|second| {
                format!("{first}::{}", leading_identifier(second)).trim_end_matches(':').to_owned()
            })),
        }
    }
    paths
}

/// The items of the group `{a, b::{c, d}}` that `text` starts with, or `text` itself.
fn group_or_path(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let Some(group) = text.strip_prefix('{') else { return vec![text] };
    let mut items = Vec::new();
    let (mut level, mut start) = (0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => level += 1,
            '}' if level > 0 => level -= 1,
            ',' | '}' if level == 0 => {
                items.push(group[start..at].trim());
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

/// What follows each occurrence of the path prefix `word`, where it starts a path.
fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(word).filter_map(move |(at, _)| {
        let before = code[..at].chars().next_back();
        let starts = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        starts.then(|| &code[at + word.len()..])
    })
}

fn names_crate(code: &str, name: &str) -> bool {
    occurrences(code, name).any(|rest| rest.starts_with("::"))
}

fn leading_identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn top_level_module(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.strip_suffix(".rs").map(str::to_owned).unwrap_or(first)
}

/// How many `super` lead from the file's module to the crate root.
fn depth(path: &Path) -> usize {
    let is_mod_file = path.file_name().is_some_and(|name| name == "mod.rs");
    path.components().count() - usize::from(is_mod_file)
}

/// The text without comments. String literals stay: none of ours holds a path.
fn without_comments(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/*") {
        code.push_str(&rest[..at]);
        rest = rest[at..].split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    code.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
