"""Photos described as organisers do: Exif, XMP and IPTC, made and read independently."""

import io
from xml.etree import ElementTree

from PIL import Image

# What a photo organiser writes: one of each kind of text, and everything that must not stay.
TEXTS = {
    "title": "A title",
    "caption": "The caption & more",
    "headline": "The headline",
    "city": "Lisboa",
    "country": "Portugal",
    "country_code": "PRT",
    "location": "Café Central",
    "state": "Estremadura",
    "credit": "The agency",
    "source": "The archive",
}
CREDITS = {"creator": "Zoë Photographer", "rights": "(c) Zoë", "usage_terms": "Ask first"}


def namespaces():
    return """xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"
 xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
 xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
 xmlns:MP="http://ns.microsoft.com/photo/1.2/"
 xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
 xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" """


def rich_xmp(extra=""):
    """A packet with all texts, in attributes and elements, and all that has to go."""
    return f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" {namespaces()} photoshop:Headline="{TEXTS["headline"]}"
 photoshop:City="{TEXTS["city"]}" photoshop:State="{TEXTS["state"]}" xmp:Rating="4"
 photoshop:Country="{TEXTS["country"]}" Iptc4xmpCore:CountryCode="{TEXTS["country_code"]}"
 photoshop:Credit="{TEXTS["credit"]}" exif:GPSLatitude="52,31.2N" aux:SerialNumber="BODY-4711"
 aux:LensSerialNumber="LENS-0815" xmpMM:DocumentID="did:4711" GCamera:MotionPhoto="1"
 GDepth:Data="{"Q0RFRkdI" * 20}" {extra}>
<photoshop:Source>{TEXTS["source"]}</photoshop:Source>
<Iptc4xmpCore:Location>{TEXTS["location"]}</Iptc4xmpCore:Location>
<dc:title><rdf:Alt><rdf:li xml:lang="de">Ein Titel</rdf:li>
<rdf:li xml:lang="x-default">{TEXTS["title"]}</rdf:li></rdf:Alt></dc:title>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">The caption &amp; more</rdf:li></rdf:Alt>
</dc:description>
<dc:subject><rdf:Bag><rdf:li>street</rdf:li><rdf:li>wet</rdf:li><rdf:li>geo:lat=52.52</rdf:li>
<rdf:li>{"Q0RFRkdI" * 20}</rdf:li></rdf:Bag></dc:subject>
<dc:creator><rdf:Seq><rdf:li>{CREDITS["creator"]}</rdf:li></rdf:Seq></dc:creator>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{CREDITS["rights"]}</rdf:li></rdf:Alt></dc:rights>
<xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="x-default">{CREDITS["usage_terms"]}</rdf:li>
</rdf:Alt></xmpRights:UsageTerms>
<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Anna Muster</rdf:li></rdf:Bag>
</Iptc4xmpExt:PersonInImage>
<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li>
<rdf:Description mwg-rs:Name="Anna Muster" mwg-rs:Type="Face" dc:title="REGION"/></rdf:li></rdf:Bag>
</mwg-rs:RegionList></mwg-rs:Regions>
<MP:RegionInfo rdf:parseType="Resource"><MP:Regions>Anna Muster</MP:Regions></MP:RegionInfo>
<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource">
<xmpGImg:image>{"Q0RFRkdI" * 20}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def iim_block(texts, *, utf8=True):
    """IPTC-IIM datasets (record, dataset, text)."""
    out = b"\x1c\x01\x5a\x00\x03\x1b%G" if utf8 else b""
    for dataset, text in texts:
        data = text.encode("utf-8" if utf8 else "latin-1")
        out += bytes([0x1C, 2, dataset]) + len(data).to_bytes(2, "big") + data
    return out


def app13(block):
    """A JPEG segment with a Photoshop thumbnail and an IIM block in it."""

    def resource(number, data):
        return b"8BIM" + number.to_bytes(2, "big") + b"\0\0" + len(data).to_bytes(4, "big") + data

    body = b"Photoshop 3.0\x00" + resource(0x040C, b"THUMBNAIL-8BIM!!")
    body += resource(0x0404, block + b"\0" * (len(block) % 2))
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


def xmp_of_file(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return packet.encode() if isinstance(packet, str) else packet


def exif_of_file(data):
    if data[4:8] == b"ftyp" and b"avif" not in data[:32]:
        import pillow_heif

        image = pillow_heif.HeifImageFile(io.BytesIO(data))
    else:
        image = Image.open(io.BytesIO(data))
    with image:
        image.load()
        exif = image.getexif()
        return dict(exif), dict(exif.get_ifd(0x8769))


def properties(packet):
    """Every attribute and text of a packet by local name: an independent reading."""
    out = {}
    body = packet[packet.index(b"<x:") : packet.rindex(b"<?xpacket")]
    for element in ElementTree.fromstring(body).iter():  # noqa: S314 - our own output
        for name, value in element.attrib.items():
            out.setdefault(name.rpartition("}")[2], []).append(value)
        local = element.tag.rpartition("}")[2]
        texts = [item.text for item in element.iter() if item.text and item.text.strip()]
        if texts and local not in ("li", "Alt", "Bag", "Seq", "Description", "RDF", "xmpmeta"):
            out.setdefault(local, []).extend(texts)
    return out
