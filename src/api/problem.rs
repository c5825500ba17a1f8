//! Errors as RFC 9457 has them.

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// An answer that is an error. Says nothing of what only operators may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

impl Problem {
    /// There is no such thing.
    pub fn not_found() -> Self {
        Self::of(StatusCode::NOT_FOUND, None)
    }

    /// Whoever asks has not shown the token.
    pub fn unauthorized() -> Self {
        Self::of(StatusCode::UNAUTHORIZED, None)
    }

    /// Not now; `detail` says why.
    pub fn unavailable(detail: &'static str) -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE, Some(detail))
    }

    fn of(status: StatusCode, detail: Option<&'static str>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(CONTENT_TYPE, kind)], Json(self)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
