//! Reading SQL text: quoted names, literals, tokens, statements and where they stand.
//!
//! Nothing here talks to a server or to the file system.

mod beyond;
mod circumstance;
mod ident;
mod kind;
mod lex;
mod lexeme;
mod literal;
mod position;
mod split;
mod statement;
mod token;

pub use beyond::beyond_structure;
pub use circumstance::{frozen, grants, runs_code};
pub use ident::{Ident, InvalidIdent};
pub use kind::Kind;
pub use lex::{Lexer, Unterminated};
pub use literal::{Literal, NulByte};
pub use position::Position;
pub use split::{Statement, split};
pub use statement::kind;
pub use token::{Token, TokenKind};
