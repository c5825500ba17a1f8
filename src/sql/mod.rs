//! Reading SQL text: quoted names, literals, tokens, statements and where they stand.
//!
//! Nothing here talks to a server or to the file system.

mod ident;
mod lex;
mod literal;
mod position;
mod split;
mod statement;

pub use ident::{Ident, InvalidIdent};
pub use lex::{Lexer, Token, TokenKind, Unterminated};
pub use literal::{Literal, NulByte};
pub use position::Position;
pub use split::{Statement, split};
pub use statement::{Kind, kind};
