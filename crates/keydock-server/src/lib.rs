#![doc = include_str!("../../../ARCHITECTURE.md")]

pub mod access;
mod app;
pub mod backup;
pub mod bootstrap;
pub mod config;
mod error;

pub mod audit_log;
pub mod canaries;
pub mod ci_trusts;
pub mod deployment_keys;
pub mod deployments;
pub mod executions;
pub mod forward_auth;
pub mod key_hygiene;
pub mod leaked_keys;
pub mod members;
pub mod org_deployment_keys;
pub mod organizations;
pub mod platform_api_keys;
pub mod platform_keys;
pub mod platform_tokens;
pub mod refusals;
pub mod sdk;
pub mod sessions;
pub mod tokens;
pub mod users;
pub mod webhooks;
pub mod workflows;

pub mod console;
pub mod import;
pub mod jobs;
pub mod keys;
pub mod memory;
pub mod outbound;
pub mod peppers;
pub mod telemetry;
pub mod web;

pub use self::{
    app::{App, Parts},
    error::{Error, FieldError, Result},
};
