// SPDX-License-Identifier: Apache-2.0
//! Streams of protocols of our own, in and out, as many as come.  The library's
//! own libp2p-stream drops inbound streams that arrive in one burst.
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{ready, Ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::Endpoint;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, Stream, StreamProtocol, SubstreamProtocol, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, oneshot};

type Offered = Arc<Mutex<Vec<StreamProtocol>>>;
pub type Inbound = (StreamProtocol, Stream);

/// Ask for a stream of a protocol; the sender is dropped when it is refused.
pub struct Open(StreamProtocol, oneshot::Sender<Stream>);

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl UpgradeInfo for Open {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(self.0.clone())
    }
}

impl OutboundUpgrade<Stream> for Open {
    type Output = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;
    fn upgrade_outbound(self, stream: Stream, _: Self::Info) -> Self::Future {
        let _ = self.1.send(stream);
        ready(Ok(()))
    }
}

/// What we accept.
pub struct Accept(Vec<StreamProtocol>);

impl UpgradeInfo for Accept {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Accept {
    type Output = Inbound;
    type Error = Infallible;
    type Future = Ready<Result<Inbound, Infallible>>;
    fn upgrade_inbound(self, stream: Stream, protocol: Self::Info) -> Self::Future {
        ready(Ok((protocol, stream)))
    }
}

pub struct Handler {
    offered: Offered,
    inbound: mpsc::UnboundedSender<Inbound>,
    opens: VecDeque<Open>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = Accept;
    type OutboundProtocol = Open;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Accept, ()> {
        SubstreamProtocol::new(Accept(self.offered.lock().unwrap().clone()), ())
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.opens.push_back(open);
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Open, (), Infallible>> {
        match self.opens.pop_front() {
            Some(open) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(open, ()),
            }),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Accept, Open, (), ()>) {
        if let ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
            protocol, ..
        }) = event
        {
            let _ = self.inbound.send(protocol);
        }
    }
}

/// Opens streams from anywhere.
#[derive(Clone)]
pub struct Control(mpsc::UnboundedSender<(PeerId, Open)>);

impl Control {
    /// The sender is dropped when there is no connection or the peer refuses.
    pub fn open(&self, peer: PeerId, protocol: StreamProtocol) -> oneshot::Receiver<Stream> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.0.send((peer, Open(protocol, sender)));
        receiver
    }
}

pub struct Behaviour {
    offered: Offered,
    inbound: mpsc::UnboundedSender<Inbound>,
    opens: mpsc::UnboundedReceiver<(PeerId, Open)>,
    control: Control,
}

impl Behaviour {
    pub fn new(offered: &[&'static str]) -> (Self, mpsc::UnboundedReceiver<Inbound>) {
        let (inbound, receiver) = mpsc::unbounded_channel();
        let (control, opens) = mpsc::unbounded_channel();
        let offered = offered.iter().map(|&name| StreamProtocol::new(name)).collect();
        let this = Self {
            offered: Arc::new(Mutex::new(offered)),
            inbound,
            opens,
            control: Control(control),
        };
        (this, receiver)
    }

    pub fn control(&self) -> Control {
        self.control.clone()
    }

    pub fn offer(&mut self, protocol: StreamProtocol) {
        self.offered.lock().unwrap().push(protocol);
    }

    fn handler(&self) -> Handler {
        Handler {
            offered: self.offered.clone(),
            inbound: self.inbound.clone(),
            opens: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.opens.poll_recv(context) {
            Poll::Ready(Some((peer_id, event))) => Poll::Ready(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::Any,
                event,
            }),
            _ => Poll::Pending,
        }
    }
}
