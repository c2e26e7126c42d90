//! What is said: requests and answers, used by the server, the client library and the command line,
//! so that none of them can drift. One file per feature.

pub mod audit_log;
pub mod ci_trusts;
pub mod deployment_keys;
pub mod deployments;
pub mod errors;
pub mod executions;
pub mod keys;
pub mod leaked_keys;
pub mod members;
pub mod org_deployment_keys;
pub mod organizations;
pub mod platform_api_keys;
pub mod platform_keys;
pub mod refusals;
pub mod sdk;
pub mod sessions;
pub mod tokens;
pub mod users;
pub mod webhooks;
pub mod workflows;
