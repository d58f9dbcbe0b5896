"""What a client may send, and its rules. This is the edge: past it an order is taken as right."""

import hashlib
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, EmailStr, Field, StringConstraints, model_validator
from pydantic_extra_types.country import CountryAlpha2
from pydantic_extra_types.currency_code import Currency

from contracts.orders import Address, Item, Order

# No control characters: a line break in a name would be one in a label or a mail header.
_Text = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\x{2028}\x{2029}]*$"
    ),
]
_Code = Annotated[str, StringConstraints(max_length=20, pattern=r"^[A-Za-z0-9][A-Za-z0-9 -]*$")]
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
CustomerId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
"""The shop's own id of a customer, never a name or an address: orders are searched by it."""
PaymentToken = Annotated[str, StringConstraints(pattern=r"^(tok|pm)_[A-Za-z0-9_]{1,60}$")]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SentItem(_Sent):
    sku: Sku
    quantity: int = Field(ge=1, le=10_000)
    unit_price_minor: int = Field(ge=0, le=1_000_000_000, description="In the currency's minor unit (cents).")


class SentAddress(_Sent):
    name: _Text
    street: _Text
    city: _Text
    state: _Text | None = None
    postal_code: _Code
    country: CountryAlpha2 = Field(description="ISO 3166-1 alpha-2.")


EXAMPLE_ORDER: dict[str, Any] = {
    "customer_id": "c-1001",
    "items": [{"sku": "TEA-EARL-GREY", "quantity": 2, "unit_price_minor": 1250}],
    "currency": "EUR",
    "payment_method": "tok_visa",
    "shipping_address": {
        "name": "Ada Lovelace",
        "street": "12 St James's Square",
        "city": "London",
        "postal_code": "SW1Y 4JH",
        "country": "GB",
    },
    "email": "ada@example.com",
}


class PlaceOrder(_Sent):
    """An order as a client places it. The amount is computed from the items."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_ORDER]})

    customer_id: CustomerId
    items: list[SentItem] = Field(min_length=1, max_length=1000)
    currency: Currency = Field(description="ISO 4217.")
    payment_method: PaymentToken = Field(description="A token from the payment provider, never a card number.")
    shipping_address: SentAddress
    email: EmailStr

    @model_validator(mode="after")
    def _costs_something(self) -> Self:
        if not any(item.unit_price_minor for item in self.items):
            raise ValueError("the items cost nothing, so there is nothing to pay")
        return self

    def order(self, order_id: str) -> Order:
        return Order(
            order_id=order_id,
            customer_id=self.customer_id,
            items=[Item(**item.model_dump()) for item in self.items],
            currency=self.currency,
            payment_method=self.payment_method,
            shipping_address=Address(**self.shipping_address.model_dump()),
            email=self.email,
        )

    def digest(self) -> str:
        """Tells two bodies apart, whatever their spacing and order of fields."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
