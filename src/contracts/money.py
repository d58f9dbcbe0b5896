"""Amounts of money as people read them."""

# ISO 4217 (list one, 2024): the currencies whose minor unit is not a hundredth.
_NO_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())  # noqa: SIM905
_THREE_DECIMALS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())  # noqa: SIM905
_FOUR_DECIMALS = frozenset({"CLF", "UYW"})


def readable(amount_minor: int, currency: str) -> str:
    """4500, "EUR" → "45.00 EUR"; 4500, "JPY" → "4500 JPY"."""
    if currency in _NO_DECIMALS:
        return f"{amount_minor} {currency}"
    decimals = 3 if currency in _THREE_DECIMALS else 4 if currency in _FOUR_DECIMALS else 2
    whole, minor = divmod(amount_minor, 10**decimals)
    return f"{whole}.{minor:0{decimals}d} {currency}"
