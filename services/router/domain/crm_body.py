"""The bodies that CRMs send: JSON, or Salesforce's outbound messages in SOAP."""

from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import msgspec

from services.router.errors import CrmUnreadable

# What Salesforce wants to read; without it, it sends the message again for a day.
ACKNOWLEDGED = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
)

_decoder = msgspec.json.Decoder(float_hook=Decimal)  # amounts stay exact


def is_soap(content_type: str) -> bool:
    """Tell whether the body is XML."""
    return "xml" in content_type.lower()


def read_body(body: bytes, content_type: str) -> Any:
    """Read a body. Raises CrmUnreadable."""
    try:
        return _notifications(body) if is_soap(content_type) else _decoder.decode(body)
    except (ValueError, RecursionError, ET.ParseError, ArithmeticError) as error:
        raise CrmUnreadable(f"The body cannot be read: {error}") from None


def _notifications(body: bytes) -> dict[str, Any]:
    """Return `{"Notification": [{"NotificationId": …, "sObject": {"Status": …}}]}`."""
    text = body.decode()  # in another encoding it could hide from the next line
    if "<!DOCTYPE" in text.upper():  # nothing that could expand to more than was sent
        raise CrmUnreadable("The body cannot be read: an outbound message has no document type.")
    root = ET.fromstring(text)  # noqa: S314  # without a document type there are no entities
    found = []
    for notification in (element for element in root.iter() if _name(element) == "Notification"):
        parts = {_name(element): element for element in notification}
        fields = parts.get("sObject")
        number = parts.get("Id")
        found.append(
            {
                "NotificationId": number.text if number is not None else None,
                "sObject": {_name(field): field.text for field in fields} if fields is not None else {},
            }
        )
    return {"Notification": found}


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
