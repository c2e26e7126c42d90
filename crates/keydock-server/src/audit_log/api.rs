//! How events look on the wire.

use keydock_wire::audit_log::AuditEvent;

use super::Event;

/// An event, for a client.
pub fn event(event: Event) -> AuditEvent {
    AuditEvent {
        id: event.id.to_string(),
        at: event.at.to_string(),
        action: event.action,
        actor_kind: event.actor_kind,
        actor_id: event.actor_id,
        actor_name: event.actor_name,
        subject_kind: event.subject_kind,
        subject_id: event.subject_id,
        detail: event.detail,
        request_id: event.request_id,
        ip: event.ip,
    }
}
