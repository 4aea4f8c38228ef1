//! A reader catches up page by page until its group can seat it.

use super::{AnswerReader, CatchUpOutcome, NextPage};
use crate::api::{FREE_BYTES, Refusal, read_charged};
use crate::live::encoding::{Encoding, ReportState, encoded_bytes};
use crate::live::follow::log_read_error;
use crate::live::group::Group;
use crate::live::outlet::UnsentBytes;
use crate::live::seat::ReaderState;
use bytes::Bytes;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tailwater_core::Batch;
use tailwater_protocol::Offset;
use tokio::task::consume_budget;

impl AnswerReader {
    pub(super) async fn catch_up(
        &mut self,
        mut state: ReaderState,
        mut next: NextPage,
    ) -> CatchUpOutcome {
        loop {
            let rest = std::mem::take(&mut next.rest);
            if state
                .outlet
                .write(rest, self.groups.terms().stalled_max)
                .await
                .is_err()
            {
                return CatchUpOutcome::Gone;
            }
            if next.is_last {
                return CatchUpOutcome::Done(state.outlet);
            }
            if self.has_disconnected(&state).await {
                return CatchUpOutcome::Gone;
            }
            if let Some((reply, is_last)) = self.reply().await {
                (next.rest, next.is_last) = (UnsentBytes::new(reply, None), is_last);
                continue;
            }
            consume_budget().await;
            let group = self.groups.find(&self.log, self.encoding);
            let at = next.at;
            match (&group, self.reported_up_to_date) {
                _ if *self.groups.terms().stop.borrow()
                    || self.reported_up_to_date.is_some() && state.is_expired() =>
                {
                    next = self.reconnect_notice(&state, at);
                }
                (Some(group), Some(report))
                    if at == group.at() && report == group.reported_up_to_date() =>
                {
                    match group.seat(state, at) {
                        Ok(seat) => return CatchUpOutcome::Seated(seat),
                        Err(returned) => {
                            state = returned;
                            group.moved().await;
                        }
                    }
                }
                (Some(group), Some(_)) if at > group.at() => group.moved().await,
                (None, Some(report)) if !self.log.tail_now().is_ready_at(at) => {
                    self.groups
                        .find_or_create(&self.log, self.encoding, at, report);
                }
                (group, _) => next = self.page(&state, at, group.as_deref()).await,
            }
        }
    }

    /// Receives what a WebSocket's client has sent meanwhile; returns whether it has disconnected.
    async fn has_disconnected(&mut self, state: &ReaderState) -> bool {
        // The next piece of an incomplete message is received, too.
        if self.encoding != Encoding::Websocket || self.has_message() {
            return false;
        }
        let socket = state.outlet.socket();
        let received = poll_fn(|context| Poll::Ready(self.poll_receive(socket, context))).await;
        received == Poll::Ready(0)
    }

    /// The next page after `at`, up to the group's position. At that position, an empty page that
    /// says whether it is up to date.
    async fn page(&mut self, state: &ReaderState, at: Offset, group: Option<&Group>) -> NextPage {
        let terms = self.groups.terms();
        // When the budget is short, readers continue in smaller steps.
        let page_max = if terms.budget.has_room(2 * terms.page_max) {
            terms.page_max
        } else {
            FREE_BYTES
        };
        let until = group.map_or(Offset::MAX, Group::at);
        let read = async || {
            if at < until {
                return self.log.read_until(at, until, page_max).await;
            }
            Ok(Batch {
                data: Bytes::new(),
                from: at,
                next: at,
                tail: self.log.tail_now(),
            })
        };
        let read = read_charged(
            &terms.budget,
            terms.budget_wait_max(),
            |batch| encoded_bytes(self.log.kind(), &batch.data),
            read,
        )
        .await;
        let (batch, charge) = match read {
            Ok(read) => read,
            Err(refusal) => {
                if let Refusal::Read(error) = &refusal {
                    log_read_error(&self.log, at, error);
                }
                return self.reconnect_notice(state, at);
            }
        };
        let now = match group {
            Some(group) if batch.next == group.at() => {
                group.reported_up_to_date() || batch.closed()
            }
            _ => batch.up_to_date(),
        };
        let report = ReportState {
            before: self.reported_up_to_date.replace(now),
            now,
            cursor: state.cursors.now(),
        };
        let piece = self.encoding.batch(self.log.kind(), &batch, report);
        state.presence.counted.set_position(batch.next);
        let bytes = state.outlet.bytes(&piece);
        // The piece may be longer than estimated.
        let (budget, mut charge) = (&self.groups.terms().budget, charge);
        if charge
            .as_mut()
            .is_some_and(|charge| charge.settle(bytes.len().min(budget.charge_max())).is_err())
        {
            return self.reconnect_notice(state, at);
        }
        NextPage {
            rest: UnsentBytes::new(bytes, charge.map(Rc::new)),
            at: batch.next,
            is_last: batch.closed(),
        }
    }

    fn reconnect_notice(&self, state: &ReaderState, at: Offset) -> NextPage {
        let bytes = state.outlet.bytes(&self.encoding.reconnect_notice());
        NextPage {
            rest: UnsentBytes::new(bytes, None),
            at,
            is_last: true,
        }
    }
}
