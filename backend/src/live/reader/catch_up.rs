//! How a reader comes to the tail: page by page, until the group takes it.

use super::{Alone, AnswerReader, NextPage};
use crate::api::{FREE_BYTES, Refusal, read_charged};
use crate::live::encoding::{Encoding, TellState, encoded_bytes};
use crate::live::follow::note;
use crate::live::group::Group;
use crate::live::outlet::Rest;
use crate::live::seat::ReaderState;
use bytes::Bytes;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tailwater_core::Batch;
use tailwater_protocol::Offset;
use tokio::task::consume_budget;

impl AnswerReader {
    pub(super) async fn catch_up(&mut self, mut held: ReaderState, mut next: NextPage) -> Alone {
        loop {
            let rest = std::mem::take(&mut next.rest);
            if held
                .outlet
                .write(rest, self.groups.terms().stalled_max)
                .await
                .is_err()
            {
                return Alone::Gone;
            }
            if next.is_last {
                return Alone::Done(held.outlet);
            }
            if self.has_left(&held).await {
                return Alone::Gone;
            }
            if let Some((reply, is_last)) = self.reply().await {
                (next.rest, next.is_last) = (Rest::new(reply, None), is_last);
                continue;
            }
            consume_budget().await;
            let group = self.groups.find(&self.log, self.encoding);
            let at = next.at;
            match (&group, self.told_up_to_date) {
                _ if *self.groups.terms().stop.borrow()
                    || self.told_up_to_date.is_some() && held.is_over() =>
                {
                    next = self.farewell(&held, at);
                }
                (Some(group), Some(told))
                    if at == group.at() && told == group.told_up_to_date() =>
                {
                    match group.seat(held, at) {
                        Ok(seat) => return Alone::Seated(seat),
                        Err(back) => {
                            held = back;
                            group.moved().await;
                        }
                    }
                }
                (Some(group), Some(_)) if at > group.at() => group.moved().await,
                (None, Some(told)) if !self.log.tail_now().has_news(at) => {
                    self.groups
                        .find_or_begin(&self.log, self.encoding, at, told);
                }
                (group, _) => next = self.page(&held, at, group.as_deref()).await,
            }
        }
    }

    /// Takes what the client of a WebSocket has sent meanwhile; whether it has left.
    async fn has_left(&mut self, held: &ReaderState) -> bool {
        if self.encoding != Encoding::Websocket || self.unfinished.is_some() {
            return false;
        }
        let socket = held.outlet.socket();
        let came = poll_fn(|context| Poll::Ready(self.poll_receive(socket, context))).await;
        came == Poll::Ready(0)
    }

    /// The next page after `at`, up to where the group is if there is one; or, where the group is, what it was told there.
    async fn page(&mut self, held: &ReaderState, at: Offset, group: Option<&Group>) -> NextPage {
        let terms = self.groups.terms();
        // Where the budget is short everybody goes on, in smaller steps.
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
            terms.patience(),
            |batch| encoded_bytes(self.log.kind(), &batch.data),
            read,
        )
        .await;
        let (batch, charge) = match read {
            Ok(read) => read,
            Err(refusal) => {
                if let Refusal::Read(error) = &refusal {
                    note(&self.log, at, error);
                }
                return self.farewell(held, at);
            }
        };
        let now = match group {
            Some(group) if batch.next == group.at() => group.told_up_to_date() || batch.closed(),
            _ => batch.up_to_date(),
        };
        let told = TellState {
            before: self.told_up_to_date.replace(now),
            now,
            cursor: held.cursors.now(),
        };
        let piece = self.encoding.batch(self.log.kind(), &batch, told);
        held.presence.counted.is_at(batch.next);
        let bytes = held.outlet.bytes(&piece);
        // It may be longer than is usual.
        let (budget, mut charge) = (&self.groups.terms().budget, charge);
        if charge
            .as_mut()
            .is_some_and(|charge| charge.settle(bytes.len().min(budget.most())).is_err())
        {
            return self.farewell(held, at);
        }
        NextPage {
            rest: Rest::new(bytes, charge.map(Rc::new)),
            at: batch.next,
            is_last: batch.closed(),
        }
    }

    fn farewell(&self, held: &ReaderState, at: Offset) -> NextPage {
        let bytes = held.outlet.bytes(&self.encoding.farewell());
        NextPage {
            rest: Rest::new(bytes, None),
            at,
            is_last: true,
        }
    }
}
