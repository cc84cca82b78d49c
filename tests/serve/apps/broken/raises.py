"""A module that cannot be imported because it raises."""

raise LookupError("the module broke")
