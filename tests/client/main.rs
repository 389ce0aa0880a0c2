//! Client cores around a scripted provider.

mod commits;
mod crash;
mod desk;
mod identity;
mod messages;
mod rogue;
mod rooms;
mod story;
mod world;
