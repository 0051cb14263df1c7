"""Finds the mutants of a C file in clang's syntax tree.

Only code inside functions is mutated, and nothing that a macro's expansion holds. What would be
noticed by whatever notices another mutant of the same place is left out: a condition `a && b` loses
`a` and `b` in turn, and so need not be "always true" as well."""

import re

from clang.cindex import CursorKind as K
from clang.cindex import Index, TranslationUnit, TypeKind

from mutants import Mutant, Source

# Not calls whose absence a test should notice.
LEFT_ALONE = re.compile(r"\s*(assert|mf_log|va_end)\s*\(")
# What takes more memory than it needs is no fault that a test could see.
ALLOCATION = re.compile(r"(malloc|calloc|realloc)\b")

ORDER_SHIFTED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "&": "|", "|": "&", "^": "|",
              "<<": ">>", ">>": "<<"}
POINTERS = (TypeKind.POINTER, TypeKind.CONSTANTARRAY, TypeKind.INCOMPLETEARRAY)
EXPRESSIONS = (K.CALL_EXPR, K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR, K.UNARY_OPERATOR,
               K.CSTYLE_CAST_EXPR, K.UNEXPOSED_EXPR, K.PAREN_EXPR)
JUMPS = (K.BREAK_STMT, K.CONTINUE_STMT, K.GOTO_STMT)
COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.DOTALL)
NUMBER = re.compile(r"([0-9]+)([uUlL]*)$")


def find(path, text, arguments):
    """The Source and its mutants, in the order of the file."""
    finder = _Finder(path, text)
    unit = Index.create().parse(
        path, args=arguments, unsaved_files=[(path, text)],
        options=TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
    errors = [str(d) for d in unit.diagnostics if d.severity >= d.Error]
    if errors:
        raise ValueError(f"{path} is not understood: {errors[0]}")
    finder.file(unit.cursor)
    return Source(path, text, finder.functions), sorted(
        finder.mutants, key=lambda m: (m.start, -m.end, m.replacement))


class _Finder:
    def __init__(self, path, text):
        self.path = path
        self.bytes = text.encode()
        if len(self.bytes) != len(text):
            raise ValueError(f"{path} is not ASCII")
        self.functions = {}
        self.mutants = []
        self.macros = []
        self.function = None

    def file(self, cursor):
        own = [c for c in cursor.get_children()
               if c.location.file is not None and c.location.file.name == self.path]
        self.macros = [self.span(c) for c in own if c.kind == K.MACRO_INSTANTIATION]
        for c in own:
            if c.kind == K.FUNCTION_DECL and c.is_definition() and not self.is_macro(c):
                self.function = c
                self.functions[c.spelling] = self.span(c)
                self.statement(list(c.get_children())[-1])

    # Places and texts.

    @staticmethod
    def span(cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def text(self, cursor):
        start, end = self.span(cursor)
        return self.bytes[start:end].decode()

    def is_macro(self, cursor):
        start, end = self.span(cursor)
        return any(s <= start and end <= e for s, e in self.macros)

    def is_within_macro(self, cursor):
        start, end = self.span(cursor)
        return any(s <= start and end <= e and (s, e) != (start, end) for s, e in self.macros)

    def add(self, span, replacement, what):
        if replacement != self.bytes[span[0] : span[1]].decode():
            self.mutants.append(
                Mutant(self.path, self.function.spelling, *span, replacement, what))

    def between(self, left, right):
        """The operator between two operands, or None where a macro hides it."""
        start, end = self.span(left)[1], self.span(right)[0]
        if start > end:
            return None
        return COMMENT.sub(b"", self.bytes[start:end]).decode().strip()

    # Statements.

    def statement(self, cursor):
        if cursor.kind in JUMPS or cursor.kind in EXPRESSIONS or self.is_macro(cursor):
            self.dropped(cursor)
        if self.is_macro(cursor):
            return
        if cursor.kind == K.COMPOUND_STMT:
            for child in cursor.get_children():
                self.statement(child)
        elif cursor.kind == K.DECL_STMT:
            for child in cursor.get_children():
                self.declaration(child)
        elif cursor.kind in (K.CASE_STMT, K.DEFAULT_STMT, K.LABEL_STMT):
            self.statement(list(cursor.get_children())[-1])
        elif cursor.kind == K.SWITCH_STMT:
            value, body = cursor.get_children()
            self.expression(value)
            self.statement(body)
        elif cursor.kind == K.IF_STMT:
            condition, *branches = cursor.get_children()
            self.condition(condition)
            for branch in branches:
                self.statement(branch)
        elif cursor.kind == K.WHILE_STMT:
            condition, body = cursor.get_children()
            self.condition(condition, always=("false",))
            self.statement(body)
        elif cursor.kind == K.DO_STMT:
            body, condition = cursor.get_children()
            self.statement(body)
            self.condition(condition, always=("false",))
        elif cursor.kind == K.FOR_STMT:
            self.loop(cursor)
        elif cursor.kind == K.RETURN_STMT:
            for value in cursor.get_children():
                self.returned(value)
        elif cursor.kind == K.UNARY_OPERATOR:  # `i++;`, of which no mutant tells more
            for child in cursor.get_children():
                self.expression(child)
        elif cursor.kind in EXPRESSIONS:
            self.expression(cursor)

    def dropped(self, cursor):
        """Without this statement. Its semicolon stays out of the syntax tree."""
        start, end = self.span(cursor)
        semicolon = re.compile(rb"\s*;").match(self.bytes, end)
        if semicolon and not LEFT_ALONE.match(self.text(cursor)):
            self.add((start, semicolon.end()), "", "dropped")

    def declaration(self, cursor):
        if cursor.kind != K.VAR_DECL or cursor.storage_class.name == "STATIC":
            return
        values = [c for c in cursor.get_children() if c.kind.is_expression()]
        if cursor.type.get_canonical().kind in POINTERS[1:] + (TypeKind.VARIABLEARRAY,):
            values = [c for c in values if c.kind == K.INIT_LIST_EXPR]
        for value in values[-1:]:
            if self.is_call(value) and self.is_number(value):
                self.add(self.span(value), "0", "0 for what is called")
            self.expression(value)

    def loop(self, cursor):
        """A `for` whose parts may each be missing: the semicolons tell them apart."""
        *parts, body = cursor.get_children()
        if any(start == self.span(cursor)[0] for start, _ in self.macros):
            return self.statement(body)  # the rest is a macro's
        first, second = self.semicolons(self.span(cursor)[0])
        for part in parts:
            start = self.span(part)[0]
            if start < first:
                self.initialized(part)
            elif start < second:
                self.condition(part, always=("false",))
        return self.statement(body)

    def initialized(self, part):
        if part.kind == K.DECL_STMT:
            self.statement(part)
        else:
            self.expression(part)

    def semicolons(self, offset):
        depth, found = 0, []
        while len(found) < 2 and offset < len(self.bytes):
            byte = self.bytes[offset : offset + 1]
            depth += {b"(": 1, b")": -1}.get(byte, 0)
            if byte == b";" and depth == 1:
                found.append(offset)
            offset += 1
        return found

    def returned(self, value):
        kind = self.function.result_type.get_canonical().kind
        inner = self.unwrapped(value)
        if kind == TypeKind.BOOL:
            self.condition(value)
        elif self.is_number(value) and inner.kind in (K.CALL_EXPR, K.DECL_REF_EXPR, K.MEMBER_REF_EXPR):
            zero = self.text(inner) == "MF_OK"
            self.add(self.span(value), "-1" if zero else "0", "another answer")
            self.expression(value)
        elif kind == TypeKind.POINTER and not self.is_macro(inner):
            self.add(self.span(value), "NULL", "no answer")
            self.expression(value)
        else:
            self.expression(value)

    # Conditions: what is only asked whether it is true.

    def condition(self, cursor, always=("true", "false")):
        inner = self.unwrapped(cursor)
        operator = self.operator(inner)
        if inner.kind == K.INTEGER_LITERAL:
            return self.literal(inner)
        if operator in ("&&", "||"):
            always = [value for value in always if (operator == "&&") == (value == "false")]
        for value in always:
            self.add(self.span(cursor), value, f"always {value}")
        self.asked(inner)
        return None

    def asked(self, cursor):
        """Inside of a condition that is made true and false otherwise."""
        cursor = self.unwrapped(cursor)
        operator = self.operator(cursor)
        if self.is_macro(cursor):
            return
        if operator in ("&&", "||"):
            left, right = cursor.get_children()
            self.add(self.span(cursor), self.text(right), "first operand dropped")
            self.add(self.span(cursor), self.text(left), "second operand dropped")
            self.asked(left)
            self.asked(right)
        elif operator in NEGATED:
            self.compared(cursor, operator)
        elif cursor.kind == K.UNARY_OPERATOR and self.text(cursor).startswith("!"):
            self.asked(next(iter(cursor.get_children())))
        else:
            self.expression(cursor)

    def compared(self, cursor, operator):
        if operator in ORDER_SHIFTED:
            self.swapped(cursor, ORDER_SHIFTED[operator])
        for operand in cursor.get_children():
            if self.unwrapped(operand).kind != K.INTEGER_LITERAL:
                self.expression(operand)

    def swapped(self, cursor, operator):
        left, right = cursor.get_children()
        self.add(self.span(cursor), f"{self.text(left)} {operator} {self.text(right)}",
                 f"another operator: {operator}")

    # Values.

    def expression(self, cursor):
        cursor = self.unwrapped(cursor)
        operator = self.operator(cursor)
        if cursor.kind == K.INTEGER_LITERAL:
            self.literal(cursor)
        elif self.is_macro(cursor) or cursor.kind == K.CXX_UNARY_EXPR:  # sizeof
            pass
        elif cursor.kind == K.CALL_EXPR and LEFT_ALONE.match(self.text(cursor)):
            pass
        elif operator in ("&&", "||"):
            self.condition(cursor)
        elif operator in NEGATED:
            self.swapped(cursor, NEGATED[operator])
            self.compared(cursor, operator)
        elif cursor.kind == K.CONDITIONAL_OPERATOR:
            condition, yes, no = cursor.get_children()
            self.condition(condition)
            self.expression(yes)
            self.expression(no)
        elif cursor.kind == K.UNARY_OPERATOR:
            self.unary(cursor)
        elif cursor.kind == K.INIT_LIST_EXPR:
            self.initializers(cursor)
        elif not (cursor.kind == K.CALL_EXPR and ALLOCATION.match(self.text(cursor))):
            self.computed(cursor, operator)
            for child in cursor.get_children():
                if child.kind.is_expression():
                    self.expression(child)

    def computed(self, cursor, operator):
        if operator in ARITHMETIC and all(self.is_number(c) for c in cursor.get_children()):
            self.swapped(cursor, ARITHMETIC[operator])

    def unary(self, cursor):
        operand = next(iter(cursor.get_children()))
        text = self.text(cursor)
        inner = self.unwrapped(operand)
        if text[:2] in ("++", "--") or text[-2:] in ("++", "--"):
            if self.is_number(operand):
                other = text.translate(str.maketrans("+-", "-+")) if "->" not in text else None
                if other is not None:
                    self.add(self.span(cursor), other, "the other way")
        elif text[0] in "!~-":
            self.add(self.span(cursor), self.text(operand), f"{text[0]} dropped")
            if inner.kind == K.INTEGER_LITERAL:
                return
        self.expression(operand)

    def initializers(self, cursor):
        values = [self.value_of(c) for c in cursor.get_children()]
        if len(values) == 1 and values[0] is not None and self.text(values[0]) == "0":
            return
        for value in values:
            if value is None or self.is_within_macro(value):
                continue
            inner = self.unwrapped(value)
            if inner.kind in (K.CALL_EXPR, K.DECL_REF_EXPR, K.MEMBER_REF_EXPR) and (
                    self.is_number(value) or self.is_pointer(value)):
                self.add(self.span(value), "0", "not initialized")
            self.expression(value)

    @staticmethod
    def value_of(cursor):
        """Of `.name = value`, the value."""
        children = list(cursor.get_children())
        if cursor.kind == K.UNEXPOSED_EXPR and children and children[0].kind == K.MEMBER_REF:
            return children[-1] if children[-1].kind.is_expression() else None
        return cursor if cursor.kind.is_expression() else None

    def literal(self, cursor):
        text = self.text(cursor)
        number = NUMBER.match(text)
        if text in ("true", "false"):
            self.add(self.span(cursor), "false" if text == "true" else "true", "the other one")
        elif number and not self.is_index_of_designator(cursor):
            self.add(self.span(cursor), f"{int(number[1]) + 1}{number[2]}", "one more")

    def is_index_of_designator(self, cursor):
        start, _ = self.span(cursor)
        return re.search(rb"[{,]\s*\[\s*$", self.bytes[:start]) is not None

    # Kinds.

    def operator(self, cursor):
        if cursor.kind not in (K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR):
            return None
        if self.is_macro(cursor):
            return None
        return self.between(*cursor.get_children())

    def unwrapped(self, cursor):
        """Without parentheses and what the compiler converts unasked."""
        while cursor.kind in (K.UNEXPOSED_EXPR, K.PAREN_EXPR):
            children = list(cursor.get_children())
            if len(children) != 1:
                break
            cursor = children[0]
        return cursor

    def is_call(self, cursor):
        return self.unwrapped(cursor).kind == K.CALL_EXPR

    @staticmethod
    def is_number(cursor):
        kind = cursor.type.get_canonical().kind
        return kind == TypeKind.ENUM or TypeKind.BOOL.value <= kind.value <= TypeKind.LONGDOUBLE.value

    @staticmethod
    def is_pointer(cursor):
        return cursor.type.get_canonical().kind in POINTERS
