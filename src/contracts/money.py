"""Amounts of money as people read them."""

# ISO 4217 (list one, 2024): the currencies whose minor unit is not a hundredth.
_DECIMALS = (
    dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
    | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
    | dict.fromkeys("CLF UYW".split(), 4)
)


def readable(amount_minor: int, currency: str) -> str:
    """4500, "EUR" → "45.00 EUR"; 4500, "JPY" → "4500 JPY"."""
    decimals = _DECIMALS.get(currency, 2)
    if decimals == 0:
        return f"{amount_minor} {currency}"
    whole, minor = divmod(amount_minor, 10**decimals)
    return f"{whole}.{minor:0{decimals}d} {currency}"
