package bundle

// The parts of OSCAL 1.1.3 that an export uses: the models "catalog" and
// "assessment-results" (pages.nist.gov/OSCAL-Reference). Optional lists are left out
// when empty, since OSCAL allows no empty ones.
const (
	oscalVersion = "1.1.3"
	oscalNS      = "https://attesto.dev/ns/oscal"
)

type oscalMetadata struct {
	Title        string      `json:"title"`
	LastModified string      `json:"last-modified"`
	Version      string      `json:"version"`
	OSCALVersion string      `json:"oscal-version"`
	Props        []oscalProp `json:"props,omitempty"`
}

type oscalProp struct {
	Name  string `json:"name"`
	NS    string `json:"ns,omitempty"`
	Value string `json:"value"`
}

type oscalCatalog struct {
	UUID     string        `json:"uuid"`
	Metadata oscalMetadata `json:"metadata"`
	Groups   []oscalGroup  `json:"groups,omitempty"`
}

type oscalGroup struct {
	ID       string         `json:"id"`
	Title    string         `json:"title"`
	Controls []oscalControl `json:"controls"`
}

type oscalControl struct {
	ID    string      `json:"id"`
	Title string      `json:"title"`
	Props []oscalProp `json:"props"`
	Parts []oscalPart `json:"parts"`
}

type oscalPart struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Prose string `json:"prose"`
}

type oscalResults struct {
	UUID       string        `json:"uuid"`
	Metadata   oscalMetadata `json:"metadata"`
	ImportAP   oscalHref     `json:"import-ap"`
	Results    []oscalResult `json:"results"`
	BackMatter oscalBack     `json:"back-matter"`
}

type oscalHref struct {
	Href        string `json:"href"`
	Description string `json:"description,omitempty"`
}

type oscalResult struct {
	UUID         string             `json:"uuid"`
	Title        string             `json:"title"`
	Description  string             `json:"description"`
	Start        string             `json:"start"`
	End          string             `json:"end"`
	Reviewed     oscalReviewed      `json:"reviewed-controls"`
	Observations []oscalObservation `json:"observations,omitempty"`
	Findings     []oscalFinding     `json:"findings,omitempty"`
}

type oscalReviewed struct {
	Selections []oscalSelection `json:"control-selections"`
}

type oscalSelection struct {
	Include []oscalControlID `json:"include-controls,omitempty"`
	Exclude []oscalControlID `json:"exclude-controls,omitempty"`
}

type oscalControlID struct {
	ID string `json:"control-id"`
}

type oscalObservation struct {
	UUID        string      `json:"uuid"`
	Description string      `json:"description"`
	Props       []oscalProp `json:"props"`
	Methods     []string    `json:"methods"`
	Evidence    []oscalHref `json:"relevant-evidence"`
	Collected   string      `json:"collected"`
	Expires     string      `json:"expires,omitempty"`
}

type oscalFinding struct {
	UUID        string         `json:"uuid"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Props       []oscalProp    `json:"props"`
	Target      oscalTarget    `json:"target"`
	Related     []oscalRelated `json:"related-observations,omitempty"`
}

type oscalTarget struct {
	Type   string      `json:"type"`
	ID     string      `json:"target-id"`
	Status oscalStatus `json:"status"`
}

type oscalStatus struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
}

type oscalRelated struct {
	UUID string `json:"observation-uuid"`
}

type oscalBack struct {
	Resources []oscalResource `json:"resources"`
}

type oscalResource struct {
	UUID   string       `json:"uuid"`
	Title  string       `json:"title"`
	RLinks []oscalRLink `json:"rlinks"`
}

type oscalRLink struct {
	Href   string      `json:"href"`
	Hashes []oscalHash `json:"hashes,omitempty"`
}

type oscalHash struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"value"`
}
