"""Makes TestCase classes for the candidate's Task and Future from the suite's mixins.

Used by the worker only. CPython tests its C and its Python classes with the same mixins, each mix
being a class with the attributes `Task` and `Future`; the same is done here with the candidate's
classes, alone and mixed with stock's. For stock asyncio the C classes stand in for the candidate's,
so that every generated test has a stock result to be compared with.
"""

from __future__ import annotations

import types
from typing import Any

ON_STOCK_LOOP = "_OnStockLoop"
"""Ends the name of a generated class whose tests run on asyncio's own loop."""


def generate(module: types.ModuleType, task: Any, future: Any) -> dict[str, type]:
    """Makes the classes that belong to one test module.

    Args:
        module: An imported module of `test.test_asyncio`.
        task: The candidate's Task class.
        future: The candidate's Future class.

    Returns:
        The classes by name; those whose name ends in `ON_STOCK_LOOP` are copies of others, for the
        caller to run on asyncio's own loop.
    """
    makers = {
        "test_tasks": _task_tests,
        "test_futures": _future_tests,
        "test_futures2": _task_traceback_tests,
        "test_eager_task_factory": _eager_tests,
    }
    maker = makers.get(module.__name__.rpartition(".")[2])
    if maker is None:
        return {}
    classes = maker(vars(module), task, future)
    mixed = {name for name in classes if "Stock" in name or "Py" in name}
    copies = {
        name + ON_STOCK_LOOP: _derive(name + ON_STOCK_LOOP, module.__name__, (made,), {})
        for name, made in classes.items()
        if name not in mixed
    }
    return classes | copies


def _derive(name: str, module: str, bases: tuple[Any, ...], attributes: dict[str, Any]) -> type:
    return type(name, bases, {"__module__": module, "__qualname__": name, **attributes})


def _task_tests(names: dict[str, Any], task: Any, future: Any) -> dict[str, type]:
    module = names["__name__"]
    tasks, futures = names["tasks"], names["futures"]

    def mix(name: str, base: str, task: Any, future: Any) -> type:
        return _derive(name, module, (names[base],), {"Task": task, "Future": future})

    def new_task(case: Any, coro: Any) -> Any:
        return task(coro, loop=case.loop)

    return {
        "TaskAndFuture": mix("TaskAndFuture", "CTask_CFuture_Tests", task, future),
        "TaskAndFutureSubclasses": _task_subclass_tests(names, task, future),
        "TaskAndStockFuture": mix(
            "TaskAndStockFuture", "CTask_PyFuture_Tests", task, futures._CFuture
        ),
        "StockTaskAndFuture": mix(
            "StockTaskAndFuture", "CTask_PyFuture_Tests", tasks._CTask, future
        ),
        "TaskAndPyFuture": mix("TaskAndPyFuture", "CTask_PyFuture_Tests", task, futures._PyFuture),
        "PyTaskAndFuture": mix("PyTaskAndFuture", "PyTask_CFuture_Tests", tasks._PyTask, future),
        "CurrentTask": _derive(
            "CurrentTask", module, (names["CCurrentLoopTests"],), {"new_task": new_task}
        ),
    }


def _task_subclass_tests(names: dict[str, Any], task: Any, future: Any) -> Any:
    # The suite's decorator puts subclasses of the two attributes in their place, so they have to be
    # there before it runs; from 3.14 on the mixin wants two functions as well.
    whole = vars(names["CTask_CFuture_Tests"])
    functions = {name: whole[name] for name in ("all_tasks", "current_task") if name in whole}
    bases = (names["BaseTaskTests"], names["test_utils"].TestCase)
    attributes = {"Task": task, "Future": future, **functions}
    return names["add_subclass_tests"](
        _derive("TaskAndFutureSubclasses", names["__name__"], bases, attributes)
    )


def _future_tests(names: dict[str, Any], task: Any, future: Any) -> dict[str, type]:
    module = names["__name__"]
    subclass = _derive("FutureSubclass", module, (future,), {})

    def future_class(case: Any) -> Any:
        return future

    def new_future(case: Any) -> Any:
        return future(loop=case.loop)

    def new_subclass(case: Any) -> Any:
        return subclass(loop=case.loop)

    def derive(name: str, base: str, **attributes: Any) -> type:
        return _derive(name, module, (names[base],), attributes)

    return {
        "Future": derive("Future", "CFutureTests", cls=future),
        "FutureSubclass": derive("FutureSubclass", "CSubFutureTests", cls=subclass),
        "FutureDoneCallbacks": derive(
            "FutureDoneCallbacks", "CFutureDoneCallbackTests", _new_future=new_future
        ),
        "FutureSubclassDoneCallbacks": derive(
            "FutureSubclassDoneCallbacks", "CSubFutureDoneCallbackTests", _new_future=new_subclass
        ),
        "FutureInheritance": derive(
            "FutureInheritance", "CFutureInheritanceTests", _get_future_cls=future_class
        ),
    }


def _task_traceback_tests(names: dict[str, Any], task: Any, future: Any) -> dict[str, type]:
    return {
        "TaskTraceback": _derive(
            "TaskTraceback", names["__name__"], (names["CFutureTests"],), {"cls": task}
        )
    }


def _eager_tests(names: dict[str, Any], task: Any, future: Any) -> dict[str, type]:
    templates = {
        "EagerTaskFactory": "CEagerTaskFactoryLoopTests",
        "NonEagerTaskCounting": "NonEagerCTaskTests",
        "EagerTaskCounting": "EagerCTaskTests",
    }
    return {
        name: _derive(name, names["__name__"], (names[template],), {"Task": task})
        for name, template in templates.items()
    }
