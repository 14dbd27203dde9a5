//! A workspace as the platform behind the server.

use std::net::SocketAddr;
use std::sync::Arc;

use lw_core::{RandomIds, Result};
use lw_project::Workspace;

use crate::app::{Access, App, Limits, Platform};
use crate::exposure::{Authentication, check_exposure};
use crate::token::Token;

impl App {
    /// The app of a server that listens on an address.
    pub fn serving(workspace: Workspace, authentication: Authentication, address: SocketAddr) -> Result<Self> {
        check_exposure(address, authentication)?;
        let token = Token::of_workspace(&workspace.own_ctx("server"), workspace.store(), workspace.directory())?;
        let access = Access { authentication, token, is_loopback: address.ip().is_loopback() };
        Ok(Self::new(platform(&workspace), access, Limits::STANDARD).with_workspace(workspace))
    }

    /// The app of a command that works on the workspace in its own process.
    pub fn local(workspace: Workspace) -> Result<Self> {
        let token = Token::of_process()?;
        let access = Access { authentication: Authentication::Token, token, is_loopback: true };
        Ok(Self::new(platform(&workspace), access, Limits::STANDARD).with_workspace(workspace))
    }
}

fn platform(workspace: &Workspace) -> Platform {
    Platform {
        store: workspace.store().clone(),
        artifacts: workspace.artifacts().clone(),
        serving: Arc::clone(workspace.serving()),
        traces: Some(workspace.traces().clone()),
        clock: Arc::clone(workspace.clock()),
        ids: Arc::new(RandomIds),
    }
}
