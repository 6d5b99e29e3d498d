"""Template text to a syntax tree; undefined variables and functions are found here, not when an alert fires."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType

from trackside.exceptions import TemplateError
from trackside.server.gotemplate.builtins import BUILTIN_NAMES
from trackside.server.gotemplate.lexer import Kind, Token, tokens
from trackside.server.gotemplate.pipelines import PipelineParser
from trackside.server.gotemplate.syntax import (
    ActionNode,
    BreakNode,
    ContinueNode,
    Definition,
    IfNode,
    Node,
    Nodes,
    RangeNode,
    Template,
    TemplateNode,
    TextNode,
    WithNode,
)

MAX_CHARACTERS = 1 << 20
MAX_NESTING = 60

_CONTROLS: dict[str, type[IfNode] | type[WithNode] | type[RangeNode]] = {
    "if": IfNode,
    "with": WithNode,
    "range": RangeNode,
}
_ENDINGS = ("end", "else")


def parse(text: str, name: str, *, functions: Collection[str] = (), variables: Collection[str] = ()) -> Template:
    """`functions` and `variables` ("$labels") are those the caller will hand over when rendering.

    Raises:
        TemplateError: the text is no template; says where and why.
    """
    if len(text) > MAX_CHARACTERS:
        raise TemplateError(f"longer than {MAX_CHARACTERS:,} characters", name=name, line=1, column=1)
    return _Parser(text, name, frozenset(functions) | BUILTIN_NAMES, variables).template()


class _Parser(PipelineParser):
    def __init__(self, text: str, name: str, functions: frozenset[str], variables: Collection[str]) -> None:
        super().__init__(list(tokens(text, name)), text, name, functions)
        self.variables = ["$", *variables]
        self._globals = len(self.variables)
        self._definitions: dict[str, Definition] = {}
        self._loops = 0

    def template(self) -> Template:
        nodes = self._nodes_until_end_of_text()
        main = Definition(self.name, self.text, nodes)
        return Template(main, MappingProxyType(self._definitions), frozenset(self.called))

    def _nodes_until_end_of_text(self) -> Nodes:
        nodes: list[Node] = []
        while self.peek().kind is not Kind.END:
            nodes += self._node(top=True)
        return tuple(nodes)

    def _node(self, *, top: bool = False) -> list[Node]:
        token = self.next()
        if token.kind is Kind.TEXT:
            return [TextNode(token.text)]
        self.skip_spaces()
        word = self.peek()
        keyword = word.text if word.kind is Kind.WORD else ""
        if keyword in _ENDINGS:
            raise self.error(word, f"unexpected {{{{{keyword}}}}}: no block is open")
        if keyword == "define":
            if not top:
                raise self.error(word, "a template can be defined only outside of other blocks")
            self._define()
            return []
        return [self._keyword_or_action(keyword, word)]

    def _keyword_or_action(self, keyword: str, word: Token) -> Node:
        match keyword:
            case "if" | "with" | "range":
                self.next()
                return self._control(keyword, word)
            case "template":
                return self._call()
            case "block":
                return self._block()
            case "break" | "continue":
                self.next()
                self.close(f"{{{{{keyword}}}}}")
                if not self._loops:
                    raise self.error(word, f"{{{{{keyword}}}}} outside of {{{{range}}}}")
                return BreakNode() if keyword == "break" else ContinueNode()
        pipeline = self.pipeline(may_declare=True)
        self.close("this action")
        return ActionNode(pipeline)

    def _control(self, keyword: str, word: Token) -> Node:
        """What follows `if`, `with` or `range`, up to and including its `end`."""
        self.enter(word)
        scope = len(self.variables)
        pipeline = self.pipeline(may_declare=True, in_range=keyword == "range")
        self.close(f"{{{{{keyword}}}}}")
        self._loops += keyword == "range"
        body, ending = self._nodes_until_ending(word)
        self._loops -= keyword == "range"
        otherwise: Nodes = ()
        if ending == "else":
            otherwise = self._otherwise(keyword, word)
        del self.variables[scope:]
        self.leave()
        return _CONTROLS[keyword](pipeline, body, otherwise)

    def _otherwise(self, keyword: str, word: Token) -> Nodes:
        self.skip_spaces()
        following = self.peek()
        if following.kind is Kind.WORD and following.text in ("if", "with") and following.text == keyword:
            self.next()
            return (self._control(keyword, following),)
        self.close("{{else}}")
        nodes, ending = self._nodes_until_ending(word)
        if ending == "else":
            raise self.error(word, f"this {{{{{keyword}}}}} has two {{{{else}}}}")
        return nodes

    def _nodes_until_ending(self, opened: Token) -> tuple[Nodes, str]:
        """The body of a block and the word that ends it; after "else" the rest of that action is still unread."""
        scope = len(self.variables)
        nodes: list[Node] = []
        while True:
            if self.peek().kind is Kind.END:
                raise self.error(opened, f"this {{{{{opened.text}}}}} has no {{{{end}}}}")
            ending = self._ending()
            if ending:
                del self.variables[scope:]
                return tuple(nodes), ending
            nodes += self._node()

    def _ending(self) -> str:
        if self.peek().kind is not Kind.OPEN:
            return ""
        at = self.at
        self.next()
        self.skip_spaces()
        word = self.next()
        if word.kind is Kind.WORD and word.text in _ENDINGS:
            if word.text == "end":
                self.close("{{end}}")
            return word.text
        self.at = at
        return ""

    def _define(self) -> None:
        word = self.next()
        name = self.string("define")
        self.close("{{define}}")
        self._body(name, word)

    def _block(self) -> Node:
        word = self.next()
        name = self.string("block")
        pipeline = self.pipeline()
        self.close("{{block}}")
        self._body(name, word)
        return TemplateNode(name, pipeline, word.offset)

    def _body(self, name: str, word: Token) -> None:
        self.enter(word)
        outside, self.variables = self.variables, self.variables[: self._globals]
        loops, self._loops = self._loops, 0
        nodes, ending = self._nodes_until_ending(word)
        if ending == "else":
            raise self.error(word, f"{{{{else}}}} in a {{{{{word.text}}}}}")
        self.variables, self._loops = outside, loops
        self.leave()
        self._definitions[name] = Definition(name, self.text, nodes)

    def _call(self) -> Node:
        word = self.next()
        name = self.string("template")
        self.skip_spaces()
        pipeline = None if self.peek().kind is Kind.CLOSE else self.pipeline()
        self.close("{{template}}")
        return TemplateNode(name, pipeline, word.offset)

    def enter(self, token: Token) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(token, f"nested more than {MAX_NESTING} deep")

    def leave(self) -> None:
        self.depth -= 1
