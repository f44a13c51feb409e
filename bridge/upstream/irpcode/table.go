package irpcode

// table is NIC's published lists (e-Invoice System, "API error codes list" and the code service's lists VITAL, INV and
// EWB) as far as a login, a cancel or a get can meet them. 9999 and 5002 depend on their text, see Error.Class.
var table = map[string]Class{
	// VITAL: login, and the gate in front of everything else.
	"1004": Credential, // Header GSTIN is required
	"1005": Token,      // Invalid Token
	"1006": Credential, // User Name is required: a missing header, not a token error
	"1007": Credential, // Authentication failed. Pls. inform the helpdesk
	"1008": Credential, // Invalid login credentials
	"1010": Credential, // Invalid Client-ID/Client-Secret
	"1011": Credential, // Client Id is required: a proxy may drop headers with underscores
	"1012": Credential, // Client Secret is required
	"1013": Credential, // Decryption of password failed
	"1014": Credential, // Inactive User
	"1015": Credential, // Invalid GSTIN for this user
	"1016": Credential, // Decryption of App Key failed
	"1017": Credential, // Incorrect user id/User does not exists
	"1018": Credential, // Client Id is not mapped to this user
	"1019": Credential, // Incorrect Password
	"1020": Token,      // Decryption failed: on a cancel a stale session key; in no list, seen in production
	"3000": Credential, // Invalid login credentials
	"3001": Business,   // Requested data is not available
	"3002": Credential, // Invalid login credentials
	"3005": Business,   // Requested data is not found
	"3009": Payload,    // Pls provide the required parameter or payload
	"3011": Business,   // Data not Found
	"3014": Credential, // Gstin Not Allowed
	"3015": Credential, // Sorry, your GSTIN is deregistered in GST Common Portal
	"3020": Temporary,  // Internal Server Error pls try after sometime
	"3028": Business,   // GSTIN is invalid
	"3029": Business,   // GSTIN is inactive or cancelled
	"3030": Credential, // Invalid Gstin
	"3031": Credential, // Invalid User Name
	"3033": Credential, // Your account has been Freezed as GSTIN is inactive
	"3034": Credential, // Your account has been cancelled as GSTIN is inactive
	"3035": Credential, // Your account has been suspended as GSTIN is inactive
	"3036": Credential, // Your account has been inactive
	"3043": Temporary,  // Something went wrong, please try again after sometime
	"3045": Credential, // Sorry you are not registered, Please use the registration option.
	"3046": Credential, // Sorry you are not enabled for e-Invoicing System on Production.
	"3053": Credential, // Unauthorised access
	"3059": Credential, // Client-Id for this PAN is not generated check your IP-Whitelisting status.
	"3060": Credential, // Please wait for officer approval
	"3061": Credential, // Your Request has been rejected, please register again
	"3064": Credential, // Sorry, This GSTIN is deregistered
	"3065": Credential, // You are not allowed to use this feature.
	"3067": Credential, // Client secret unsuccessfull,pls check the existing client secret.
	"3068": Credential, // There is no Api user.
	"3069": Credential, // Sorry,you have not directly integrated with E-invoice API.
	"3070": Credential, // Sorry,you have not registered.
	"3072": Credential, // Sorry,Your GSTIN not enabled by the Direct Integrator.
	"3074": Business,   // 3074 to 3079, generation only: GSTIN - {0} is cancelled, inactive, …
	"3075": Business,
	"3076": Business,
	"3077": Business,
	"3078": Business,
	"3079": Business,
	"3080": Credential, // Sorry, e-Invoicing cannot be enabled.
	"3098": Credential, // Invalid IRP code

	"SYS_5001": Temporary, // Application error, issue with application while processing the request ...

	// INV: what a cancel or a get can produce.
	"2139": Temporary,  // Error while creating invoice
	"2140": Temporary,  // Error while validating invoice
	"2141": Temporary,  // Error while cancelling invoice
	"2142": Payload,    // Incomplete request parameters
	"2143": Business,   // Invoice does not belongs to the user GSTIN
	"2145": Payload,    // IRN is not valid
	"2146": Business,   // Unable to create IRN: generation only
	"2147": Business,   // Unable to sign invoice: generation only
	"2148": Business,   // Requested IRN data is not available: perhaps it lives on the other portal
	"2150": Business,   // Duplicate IRN: generation only
	"2154": Business,   // IRN details are not found
	"2226": Business,   // You are not authorised to get IRN data
	"2230": Business,   // This IRN cannot be cancelled because e-way bill has been generated
	"2255": Credential, // Requested Payload is empty: the body was lost on the way
	"2257": Business,   // Invalid Credentials for respective IRN
	"2270": Business,   // The allowed cancellation time limit is crossed, you cannot cancel the IRN
	"2278": Business,   // IRN is already generated and is cancelled for this Document number: generation only
	"2283": Business,   // IRN details cannot be provided as it is generated more than {0} days prior: get only
	"2295": Business,   // IRN is already generated and registered with GSTN Lookup Portal by other IRP: generation only
	"2302": Already,    // Status of the IRN is not active
	"5001": Temporary,  // Application Error, Please Contact the help desk
	"5003": Credential, // Data cannot be null or empty: the body was lost on the way; in no list, seen in production

	// EWB: what e-way bill calls say about an IRN.
	"4000": Already,   // Status of the IRN is not active
	"4002": Business,  // EwayBill is already generated for this IRN
	"4003": Business,  // Requested IRN data is not available
	"4004": Temporary, // Error while retrieving IRN details
}
