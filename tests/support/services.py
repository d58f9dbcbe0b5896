"""Which of the registry's services an order comes to."""

from contracts.registry import SERVICES, Service

VISITED: tuple[Service, ...] = tuple(service for service in SERVICES if service.task_queue or service.name == "api")
