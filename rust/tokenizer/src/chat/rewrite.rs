//! The syntax tree of a template with its limits written into it: whatever can make a large value becomes a call of a
//! function of ours that counts.

use minijinja::machinery::ast::{self, BinOpKind, CallArg, Expr, Spanned, Stmt};
use minijinja::machinery::Span;
use minijinja::{Error, ErrorKind, Value};

/// No name of a template may begin so.
pub const PREFIX: &str = "_layerscope_";
pub const PLAIN: &str = "_layerscope_plain";
pub const CONCAT: &str = "_layerscope_concat";
pub const ADD: &str = "_layerscope_add";
pub const MULTIPLY: &str = "_layerscope_multiply";

type Outcome<T> = Result<T, Error>;

fn refused(what: &str, span: Span) -> Error {
    Error::new(ErrorKind::SyntaxError, format!("{what} (line {})", span.start_line))
}

fn call<'a>(function: &'static str, args: Vec<Expr<'a>>, span: Span) -> Expr<'a> {
    let callee = Expr::Var(Spanned::new(ast::Var { id: function }, span));
    Expr::Call(Spanned::new(ast::Call { expr: callee, args: args.into_iter().map(CallArg::Pos).collect() }, span))
}

fn plain(expr: Expr) -> Expr {
    let span = expr.span();
    call(PLAIN, vec![expr], span)
}

/// An operand whose size decides what an operation on it costs.
fn counted<'a>(expr: &Expr<'a>) -> Outcome<Expr<'a>> {
    let rebuilt = value(expr)?;
    Ok(match rebuilt {
        Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) | Expr::IfExpr(_) => plain(rebuilt),
        other => other,
    })
}

fn checked_name(name: &str, span: Span) -> Outcome<()> {
    if name.starts_with(PREFIX) {
        return Err(refused(&format!("the name {name} is reserved"), span));
    }
    Ok(())
}

fn option<'a>(expr: &Option<Expr<'a>>) -> Outcome<Option<Expr<'a>>> {
    expr.as_ref().map(value).transpose()
}

fn values<'a>(items: &[Expr<'a>]) -> Outcome<Vec<Expr<'a>>> {
    items.iter().map(value).collect()
}

fn arguments<'a>(args: &[CallArg<'a>]) -> Outcome<Vec<CallArg<'a>>> {
    let rebuilt = args.iter().map(|arg| {
        Ok(match arg {
            CallArg::Pos(expr) => CallArg::Pos(value(expr)?),
            CallArg::Kwarg(name, expr) => CallArg::Kwarg(name, value(expr)?),
            CallArg::PosSplat(expr) => CallArg::PosSplat(counted(expr)?),
            CallArg::KwargSplat(expr) => CallArg::KwargSplat(counted(expr)?),
        })
    });
    rebuilt.collect()
}

fn attribute<'a>(node: &Spanned<ast::GetAttr<'a>>, expr: Expr<'a>) -> Outcome<Expr<'a>> {
    if node.name.starts_with('_') {
        return Err(refused(&format!("the attribute {} is not accessible", node.name), node.span()));
    }
    Ok(Expr::GetAttr(Spanned::new(ast::GetAttr { expr, name: node.name }, node.span())))
}

fn called<'a>(node: &Spanned<ast::Call<'a>>) -> Outcome<Spanned<ast::Call<'a>>> {
    let callee = match &node.expr {
        // loop.cycle and the like are methods of an object that is no value
        Expr::GetAttr(method) => {
            let engine = matches!(&method.expr, Expr::Var(object) if matches!(object.id, "loop" | "self"));
            attribute(method, if engine { value(&method.expr)? } else { counted(&method.expr)? })?
        }
        other => value(other)?,
    };
    Ok(Spanned::new(ast::Call { expr: callee, args: arguments(&node.args)? }, node.span()))
}

fn binary<'a>(node: &Spanned<ast::BinOp<'a>>) -> Outcome<Expr<'a>> {
    let function = match node.op {
        BinOpKind::Concat => CONCAT,
        BinOpKind::Add => ADD,
        BinOpKind::Mul => MULTIPLY,
        op => {
            let logic = matches!(op, BinOpKind::ScAnd | BinOpKind::ScOr);
            let side = |expr: &Expr<'a>| if logic { value(expr) } else { counted(expr) };
            let (left, right) = (side(&node.left)?, side(&node.right)?);
            return Ok(Expr::BinOp(Spanned::new(ast::BinOp { op, left, right }, node.span())));
        }
    };
    Ok(call(function, vec![value(&node.left)?, value(&node.right)?], node.span()))
}

fn compare<'a>(node: &Spanned<ast::Compare<'a>>) -> Outcome<Expr<'a>> {
    let ops = node.ops.iter().map(|op| Ok(ast::CompareOp { op: op.op, expr: counted(&op.expr)? }));
    let ops = ops.collect::<Outcome<Vec<_>>>()?;
    Ok(Expr::Compare(Spanned::new(ast::Compare { expr: counted(&node.expr)?, ops }, node.span())))
}

fn filter<'a>(node: &Spanned<ast::Filter<'a>>) -> Outcome<Expr<'a>> {
    let expr = node.expr.as_ref().map(counted).transpose()?;
    Ok(Expr::Filter(Spanned::new(ast::Filter { name: node.name, expr, args: arguments(&node.args)? }, node.span())))
}

fn value<'a>(expr: &Expr<'a>) -> Outcome<Expr<'a>> {
    let span = expr.span();
    Ok(match expr {
        Expr::Var(node) => {
            checked_name(node.id, span)?;
            Expr::Var(Spanned::new(ast::Var { id: node.id }, span))
        }
        Expr::Const(node) => Expr::Const(Spanned::new(ast::Const { value: node.value.clone() }, span)),
        Expr::Slice(node) => plain(Expr::Slice(Spanned::new(
            ast::Slice {
                expr: counted(&node.expr)?,
                start: option(&node.start)?,
                stop: option(&node.stop)?,
                step: option(&node.step)?,
            },
            span,
        ))),
        Expr::UnaryOp(node) => {
            let op = match node.op {
                ast::UnaryOpKind::Not => ast::UnaryOpKind::Not,
                ast::UnaryOpKind::Neg => ast::UnaryOpKind::Neg,
            };
            Expr::UnaryOp(Spanned::new(ast::UnaryOp { op, expr: value(&node.expr)? }, span))
        }
        Expr::BinOp(node) => binary(node)?,
        Expr::Compare(node) => compare(node)?,
        Expr::IfExpr(node) => Expr::IfExpr(Spanned::new(
            ast::IfExpr {
                test_expr: value(&node.test_expr)?,
                true_expr: value(&node.true_expr)?,
                false_expr: option(&node.false_expr)?,
            },
            span,
        )),
        Expr::Filter(node) => plain(filter(node)?),
        Expr::Test(node) => Expr::Test(Spanned::new(
            ast::Test { name: node.name, expr: counted(&node.expr)?, args: arguments(&node.args)? },
            span,
        )),
        Expr::GetAttr(node) => attribute(node, value(&node.expr)?)?,
        Expr::GetItem(node) => Expr::GetItem(Spanned::new(
            ast::GetItem { expr: value(&node.expr)?, subscript_expr: value(&node.subscript_expr)? },
            span,
        )),
        Expr::Call(node) => match &node.expr {
            // what a namespace holds is checked when it is put there
            Expr::Var(name) if name.id == "namespace" => Expr::Call(called(node)?),
            _ => plain(Expr::Call(called(node)?)),
        },
        Expr::List(node) => plain(Expr::List(Spanned::new(ast::List { items: values(&node.items)? }, span))),
        Expr::Tuple(node) => plain(Expr::Tuple(Spanned::new(ast::Tuple { items: values(&node.items)? }, span))),
        Expr::Map(node) => plain(Expr::Map(Spanned::new(
            ast::Map { keys: values(&node.keys)?, values: values(&node.values)? },
            span,
        ))),
    })
}

/// What is assigned to: names, lists of names, attributes of a namespace.
fn target<'a>(expr: &Expr<'a>) -> Outcome<Expr<'a>> {
    let span = expr.span();
    let each = |items: &[Expr<'a>]| items.iter().map(target).collect::<Outcome<Vec<_>>>();
    Ok(match expr {
        Expr::List(node) => Expr::List(Spanned::new(ast::List { items: each(&node.items)? }, span)),
        Expr::Tuple(node) => Expr::Tuple(Spanned::new(ast::Tuple { items: each(&node.items)? }, span)),
        other => value(other)?,
    })
}

fn body<'a>(statements: &[Stmt<'a>]) -> Outcome<Vec<Stmt<'a>>> {
    statements.iter().map(statement).collect()
}

fn declared<'a>(node: &Spanned<ast::Macro<'a>>) -> Outcome<Spanned<ast::Macro<'a>>> {
    checked_name(node.name, node.span())?;
    let args = node.args.iter().map(target).collect::<Outcome<Vec<_>>>()?;
    let parts = ast::Macro { name: node.name, args, defaults: values(&node.defaults)?, body: body(&node.body)? };
    Ok(Spanned::new(parts, node.span()))
}

fn statement<'a>(stmt: &Stmt<'a>) -> Outcome<Stmt<'a>> {
    Ok(match stmt {
        Stmt::Template(node) => {
            Stmt::Template(Spanned::new(ast::Template { children: body(&node.children)? }, node.span()))
        }
        Stmt::EmitExpr(node) => {
            Stmt::EmitExpr(Spanned::new(ast::EmitExpr { expr: value(&node.expr)? }, node.span()))
        }
        // As a value, so that it is counted like one.
        Stmt::EmitRaw(node) => {
            let raw = Expr::Const(Spanned::new(ast::Const { value: Value::from(node.raw) }, node.span()));
            Stmt::EmitExpr(Spanned::new(ast::EmitExpr { expr: raw }, node.span()))
        }
        Stmt::ForLoop(node) => Stmt::ForLoop(Spanned::new(
            ast::ForLoop {
                target: target(&node.target)?,
                iter: counted(&node.iter)?,
                filter_expr: option(&node.filter_expr)?,
                recursive: node.recursive,
                body: body(&node.body)?,
                else_body: body(&node.else_body)?,
            },
            node.span(),
        )),
        Stmt::IfCond(node) => Stmt::IfCond(Spanned::new(
            ast::IfCond {
                expr: value(&node.expr)?,
                true_body: body(&node.true_body)?,
                false_body: body(&node.false_body)?,
            },
            node.span(),
        )),
        Stmt::WithBlock(node) => {
            let assignments = node.assignments.iter().map(|(name, expr)| Ok((target(name)?, value(expr)?)));
            let assignments = assignments.collect::<Outcome<Vec<_>>>()?;
            Stmt::WithBlock(Spanned::new(ast::WithBlock { assignments, body: body(&node.body)? }, node.span()))
        }
        Stmt::Set(node) => {
            let expr = value(&node.expr)?;
            // A namespace takes copies: nothing can come to hold itself.
            let expr = if matches!(node.target, Expr::Var(_)) { expr } else { plain(expr) };
            Stmt::Set(Spanned::new(ast::Set { target: target(&node.target)?, expr }, node.span()))
        }
        Stmt::SetBlock(node) => match node.filter {
            Some(_) => return Err(refused("{% set NAME | FILTER %} is not supported", node.span())),
            None => Stmt::SetBlock(Spanned::new(
                ast::SetBlock { target: target(&node.target)?, filter: None, body: body(&node.body)? },
                node.span(),
            )),
        },
        Stmt::Macro(node) => Stmt::Macro(declared(node)?),
        Stmt::CallBlock(node) => Stmt::CallBlock(Spanned::new(
            ast::CallBlock { call: called(&node.call)?, macro_decl: declared(&node.macro_decl)? },
            node.span(),
        )),
        Stmt::Continue(node) => Stmt::Continue(Spanned::new(ast::Continue, node.span())),
        Stmt::Break(node) => Stmt::Break(Spanned::new(ast::Break, node.span())),
        Stmt::AutoEscape(node) => return Err(refused("{% autoescape %} is not supported", node.span())),
        Stmt::FilterBlock(node) => return Err(refused("{% filter %} is not supported", node.span())),
        Stmt::Block(node) => return Err(refused("{% block %} is not supported", node.span())),
        Stmt::Import(node) => return Err(refused("{% import %} is not supported", node.span())),
        Stmt::FromImport(node) => return Err(refused("{% from %} is not supported", node.span())),
        Stmt::Extends(node) => return Err(refused("{% extends %} is not supported", node.span())),
        Stmt::Include(node) => return Err(refused("{% include %} is not supported", node.span())),
        Stmt::Do(node) => return Err(refused("{% do %} is not supported", node.span())),
    })
}

/// The tree with every limit in it. Errors: what is not supported, by name and line.
pub fn guarded<'a>(tree: &Stmt<'a>) -> Outcome<Stmt<'a>> {
    statement(tree)
}
