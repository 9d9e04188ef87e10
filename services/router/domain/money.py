"""What a deal was won for: an exact amount in a currency of ISO 4217."""

from decimal import Decimal

MOST = Decimal(10) ** 15

# The currencies in use, by how many decimals their amounts have.
_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE"
        " CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL"
        " HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR"
        " MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK"
        " SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD"
        " XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
CURRENCIES = {code: decimals for decimals, codes in _DECIMALS.items() for code in codes.split()}


def problem_with(amount: Decimal | None, currency: str | None) -> str | None:
    """Return what is wrong with an amount in a currency, None when nothing is. Both may be absent, but not one."""
    if amount is None and currency is None:
        return None
    if amount is None or currency is None:
        return "Give amount and currency together, as 1200.50 and EUR."
    decimals = CURRENCIES.get(currency)
    if decimals is None:
        return f"{currency!r} is not a currency of ISO 4217; write a code such as EUR or USD."
    if not amount.is_finite() or not 0 <= amount <= MOST:
        return f"The amount is a number from 0 to {MOST:.0f}."
    exponent = amount.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > decimals:
        return f"An amount in {currency} has at most {decimals} decimals, not {-exponent}."
    return None
