"""The six services: their tables, and what each adds to the collection that all of them have."""

from __future__ import annotations

from app.services.base import Parts, Service
from app.services.order import OrderService
from app.services.payment import PaymentService
from app.services.product import ProductService
from app.services.recommendation import RecommendationService
from app.services.review import ReviewService
from app.services.user import UserService

SERVICES: dict[str, type[Service]] = {
    "user-service": UserService,
    "product-service": ProductService,
    "order-service": OrderService,
    "payment-service": PaymentService,
    "review-service": ReviewService,
    "recommendation-service": RecommendationService,
}

__all__ = ["SERVICES", "Parts", "Service"]
